package live

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// MediaType is that of a stream.
const MediaType = "application/vnd.aerie.live"

// unsentLimit bounds what the system holds back for a slow viewer beyond what
// is on its way: the pictures that wait there are late already.
const unsentLimit = 128 << 10

// ServeVideo answers a request with the picture.
func (v *View) ServeVideo(w http.ResponseWriter, r *http.Request) { v.serve(w, r, &v.video) }

// ServeAudio answers a request with the sound.
func (v *View) ServeAudio(w http.ResponseWriter, r *http.Request) { v.serve(w, r, &v.sound) }

// serve takes the connection over from the HTTP server, so that a picture is
// written as it is, in one call, and with deadlines of its own.
func (v *View) serve(w http.ResponseWriter, r *http.Request, t *track) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		refuse(w, http.StatusMethodNotAllowed, "method")
		return
	}
	viewer := v.admit(t)
	if viewer == nil {
		v.Refused.Inc()
		refuse(w, http.StatusServiceUnavailable, "too-many-viewers")
		return
	}
	defer v.leave(viewer)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		refuse(w, http.StatusNotImplemented, "http-version")
		return
	}
	defer conn.Close()
	if !v.connect(viewer, conn) {
		return
	}
	limitUnsent(conn)
	viewer.out = appendHead(viewer.out, w.Header())
	if viewer.write() == nil {
		go viewer.watchForEnd()
		viewer.run()
	}
}

// refuse answers in the form that pages understand.
func refuse(w http.ResponseWriter, code int, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]string{"error": reason})
}

// admit makes a viewer unless there are enough.
func (v *View) admit(t *track) *viewer {
	w := &viewer{view: v, track: t, woken: make(chan struct{}, 1), gone: make(chan struct{}), pos: -1, session: -1}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed || v.count(t) >= v.options.MaxViewers {
		return nil
	}
	v.viewers[w] = true
	t.mu.Lock()
	defer t.mu.Unlock()
	t.viewers = append(t.viewers, w)
	return w
}

// connect gives the viewer its connection, unless the view was closed.
func (v *View) connect(w *viewer, conn net.Conn) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	w.conn = conn
	w.hangUp = sync.OnceFunc(func() {
		close(w.gone)
		conn.Close()
	})
	return !v.closed
}

func (v *View) leave(w *viewer) {
	v.mu.Lock()
	delete(v.viewers, w)
	v.mu.Unlock()
	w.track.mu.Lock()
	defer w.track.mu.Unlock()
	w.track.viewers = slices.DeleteFunc(w.track.viewers, func(o *viewer) bool { return o == w })
}

// appendHead appends the head of a response that ends with the connection,
// with the headers that the server around has set.
func appendHead(b []byte, header http.Header) []byte {
	header.Set("Content-Type", MediaType)
	header.Set("Cache-Control", "no-store")
	header.Set("Connection", "close")
	var head bytes.Buffer
	fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\n", http.StatusOK, http.StatusText(http.StatusOK))
	header.Write(&head) // a Buffer has no errors
	head.WriteString("\r\n")
	return append(b, head.Bytes()...)
}

// watchForEnd hangs up when the other side has, or says more: requests are not
// pipelined behind a stream.
func (v *viewer) watchForEnd() {
	var b [1]byte
	v.conn.Read(b[:])
	v.hangUp()
}

func limitUnsent(conn net.Conn) {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	// Without it a slow viewer is later, but nothing else changes.
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentLimit)
	})
}
