package discovery

import "aerie/receiver/metric"

// Counters count what an announcer sees and does.
type Counters struct {
	Received      metric.Counter // packets read
	Sent          metric.Counter // packets sent
	SendFailed    metric.Counter // packets the kernel would not send
	ReceiveFailed metric.Counter // failed reads
	Malformed     metric.Counter // packets that were no mDNS messages
	OffLink       metric.Counter // packets from elsewhere, and queries not answered for that
	Limited       metric.Counter // unicast answers not sent, and pauses in reading, because there were too many
	Conflicts     metric.Counter // another's claims to a name of ours
	Renames       metric.Counter // names given up
}
