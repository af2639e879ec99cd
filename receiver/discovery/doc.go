// Package discovery makes the receiver appear in a sender's list, and finds
// receivers for a sender of our own: multicast DNS (RFC 6762) and DNS-based
// service discovery (RFC 6763), as AirPlay uses them (reference sections 1
// and 13).
//
// An Announcer announces services on one host name, on IPv4 and IPv6, on
// every link that suits: it probes for its names, takes others if they are
// in use, announces them, answers questions, defends them, follows the links
// as they come and go, and takes everything back in the end. Browse looks for
// services of others.
//
// Two libraries do part of the work. github.com/miekg/dns reads and writes
// records. github.com/grandcat/zeroconf asks: Browse runs its Resolver, which
// sends the queries and puts PTR, SRV and TXT records together. Its answering
// half is not used, for what it answers cannot be held back or put right from
// outside: it goes on while a name is probed for again, compares names with
// regard to case, has no limit of any rate, gives one TTL to all records, does
// not answer for the host name or by query type, takes questions from
// anywhere, and spins when a socket fails. So all answering is done here, in
// segment and its parts, on sockets of our own beside those of zeroconf and of
// any other responder on the machine (SO_REUSEADDR and SO_REUSEPORT). For
// Browse the same sockets hear the addresses of hosts, with the link they came
// from, which zeroconf does not tell; and Browse asks anew in growing
// intervals, because the Resolver stops after its first find.
//
// The logic is a state machine without sockets, goroutines or a clock, the
// responder, with one segment for each address family on each link:
//
//	waiting ─> probing ─────────> announced ──> questions answered
//	   ^       3 times, 250 ms      |    |
//	   |            |               |    └ links, addresses or TXT changed:
//	   |            | tie lost,     |      announced again
//	   |            | name taken    | insistent claim: next name
//	   └────────────┴───────────────┘ link was down, nothing can be sent
//
// It leaves the contents of TXT records to package message, remembering a
// changed name to its caller, and reverse names (in-addr.arpa) to the
// machine's own responder, with which it would otherwise be in dispute.
//
// Proof: sim_test.go is a network in memory on simulated time. On it
// probe_test.go, conflict_test.go, query_test.go and announce_test.go check
// the state machine packet by packet, and that any number of responders with
// one name end with as many names (TestCrowd, TestNetworksJoin). real_test.go,
// avahi_test.go, python_test.go and machines_test.go run announcers and
// browsers on sockets, in network namespaces of their own, against each other,
// avahi and python3-zeroconf, with cables that are pulled and plugged in.
// fuzz_test.go feeds everything that reads from the network.
package discovery
