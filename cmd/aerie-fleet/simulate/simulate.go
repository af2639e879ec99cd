// Package simulate plays receivers of a fleet: small MQTT clients that pair,
// report their health, take updates and roll back as real ones do, thousands of
// them in one process, for measurements and for tests that break things.
//
// It uses the twin and the pairing of package fleet, and only the connection is
// its own. The program aerie-fleet does not link it.
//
// Proof: the tests of aerie/cmd/aerie-fleet and its packages, for which it is
// made.
package simulate
