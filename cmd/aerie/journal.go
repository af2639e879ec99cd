package main

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"strconv"
)

// journal tells whether standard error goes to systemd's journal, which names
// its socket by device and inode (systemd.exec(5), JOURNAL_STREAM).
func journal() bool {
	dev, ino, ok := strings.Cut(os.Getenv("JOURNAL_STREAM"), ":")
	var st unix.Stat_t
	if !ok || unix.Fstat(int(os.Stderr.Fd()), &st) != nil {
		return false
	}
	d, errD := strconv.ParseUint(dev, 10, 64)
	i, errI := strconv.ParseUint(ino, 10, 64)
	return errD == nil && errI == nil && d == uint64(st.Dev) && i == st.Ino
}
