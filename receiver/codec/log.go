package codec

//#include "shim.h"
import "C"

import (
	"context"
	"log/slog"
	"sync/atomic"
)

var logger atomic.Pointer[slog.Logger]

func init() { C.aerie_log_install() }

// SetLogger sets where the warnings of libavcodec go, at debug level: they
// tell of damaged streams, about which the decoders return errors as well. At
// most 20 lines a second are passed on, and how many were not. Without a
// logger, or with nil, they go to slog.Default().
func SetLogger(l *slog.Logger) { logger.Store(l) }

//export aerieLog
func aerieLog(level C.int, line *C.char, suppressed C.int) {
	l := logger.Load()
	if l == nil {
		l = slog.Default()
	}
	if !l.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	severity := "warning"
	if level <= C.AV_LOG_ERROR {
		severity = "error"
	}
	l.Debug("libav: "+C.GoString(line), "severity", severity, "suppressed", int(suppressed))
}
