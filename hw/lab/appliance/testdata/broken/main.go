// Command broken is a release that passes its self-test and does not work.
package main

import (
	"net"
	"os"
	"time"
)

// how it does not: crash or hang.
var how = "crash"

func main() {
	if len(os.Args) > 1 && os.Args[1] == "selftest" {
		return
	}
	if how == "crash" {
		panic("this release is broken")
	}
	// Ready, and never heard of again.
	if c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET")); err == nil {
		_, _ = c.Write([]byte("READY=1"))
	}
	time.Sleep(time.Hour)
}
