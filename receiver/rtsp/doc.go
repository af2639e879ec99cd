// Package rtsp speaks AirPlay's dialect of RTSP/1.0 and HTTP/1.1: one port,
// one connection, requests of both protocols, bodies that are mostly binary
// property lists (reference section 3), in the clear or in encrypted records
// (section 5.5).
//
// It parses and writes messages under limits and knows what a target looks
// like on this wire; what a request means is left to package session. Strict
// URL parsers fail here: senders put unbracketed IPv6 literals into targets.
//
// Proof: reader_test.go (one table drives whole, split, pipelined and broken
// input), conn_test.go (deadlines against senders that stall), record_test.go
// (recorded records, and all that can be done to one; zero allocations), fuzz
// targets for both directions and for records, and the captured dialogues in
// package session.
package rtsp
