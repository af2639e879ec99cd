package fleet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"aerie/receiver/fleet/content"
	"aerie/receiver/fleet/wire"
)

// A call is made once, however often it arrives.
func TestRepeatedCalls(t *testing.T) {
	b := newBench(t)
	b.pair()
	topic := "aerie/tv/method/" + service + "/identify/7"
	b.receive(b.now, topic, nil)
	b.receive(b.now, topic, nil)
	expect(t, "while it is under way", b.said(), "result/"+service+"/7/200 ")
	for range 3 {
		b.receive(b.now, topic, nil)
		expect(t, "afterwards", b.said(), "result/"+service+"/7/200 ")
	}
	if len(b.did) != 1 {
		t.Errorf("did %v", b.did)
	}
	// Only so many are remembered.
	for i := range 500 {
		b.now = b.now.Add(time.Second)
		b.receive(b.now, fmt.Sprintf("aerie/tv/method/%s/identify/a%d", service, i), nil)
		b.said()
	}
	if len(b.methods.recalled) != maxRecalled || len(b.methods.order) != maxRecalled {
		t.Errorf("%d are remembered", len(b.methods.recalled))
	}
}

func TestTooManyCalls(t *testing.T) {
	b := newBench(t)
	b.pair()
	made := func(n int, pause time.Duration) (good, refused int) {
		for i := range n {
			b.now = b.now.Add(pause)
			b.receive(b.now, fmt.Sprintf("aerie/tv/method/%s/identify/%v-%d-%d", service, pause.Nanoseconds(), b.now, i), nil)
			switch got := b.said(); {
			case strings.Contains(got, "/200 "):
				good++
			case strings.Contains(got, "/429 "):
				refused++
			}
		}
		return good, refused
	}
	if good, refused := made(100, 0); good != callBurst || refused != 100-callBurst {
		t.Errorf("of a flood %d are made, %d refused", good, refused)
	}
	b.now = b.now.Add(time.Minute)
	if good, refused := made(100, callEvery); good != 100 {
		t.Errorf("at a good pace %d are made, %d refused", good, refused)
	}
	// No more than a few wait.
	b.now = b.now.Add(time.Minute)
	for i := range callBurst {
		b.receive(b.now, fmt.Sprintf("aerie/tv/method/%s/identify/w%d", service, i), nil)
	}
	if n := strings.Count(b.said(), "/429 "); n != callBurst-maxJobs {
		t.Errorf("%d refused", n)
	}
}

func TestBundle(t *testing.T) {
	b := newBench(t)
	file := bytes.Repeat([]byte("0123456789"), 10_000)
	made := 0
	b.device.Diagnostics = func(context.Context) (string, []byte, error) {
		made++
		return "aerie.tar.gz", file, nil
	}
	b.pair()
	sum := sha256.Sum256(file)
	var got []byte
	for i := 0; ; i++ {
		topic := fmt.Sprintf("aerie/tv/method/%s/diagnostics/%d", service, i)
		b.now = b.now.Add(time.Second)
		b.receive(b.now, topic, fmt.Appendf(nil, `{"offset":%d}`, len(got)))
		text := b.said()
		head := fmt.Sprintf("result/%s/%d/200 ", service, i)
		if !strings.HasPrefix(text, head) || len(text) > wire.MaxResult {
			t.Fatalf("%.300s", text)
		}
		p := decode[content.Bundle](t, strings.TrimPrefix(text, head))
		if p.Offset != len(got) || p.Size != len(file) || p.SHA256 != hex.EncodeToString(sum[:]) || p.Name != "aerie.tar.gz" || len(p.Data) == 0 {
			t.Fatalf("%+v", p)
		}
		if got = append(got, p.Data...); len(got) == p.Size {
			break
		}
	}
	if !bytes.Equal(got, file) || made != 1 {
		t.Errorf("%d bytes, made %d times", len(got), made)
	}
	for i, c := range []struct{ argument, want string }{{`{"offset":1}`, "/400 "}, {`{"offset":-1}`, "/400 "}, {`{"offset":1e99}`, "/400 "}, {``, "/400 "}} {
		b.receive(b.now, fmt.Sprintf("aerie/tv/method/%s/diagnostics/x%d", service, i), []byte(c.argument))
		if text := b.said(); !strings.Contains(text, c.want) {
			t.Errorf("%s: %.300s", c.argument, text)
		}
	}
	file = make([]byte, maxBundle+1)
	b.receive(b.now, "aerie/tv/method/"+service+"/diagnostics/big", []byte(`{"offset":0}`))
	if text := b.said(); !strings.Contains(text, "/500 ") {
		t.Errorf("%.300s", text)
	}
}

// What fails, hangs or falls over is answered, and the next is done.
func TestTroubledMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var restarted atomic.Bool
		release := make(chan bool)
		b.device.ForgetSenders = func(context.Context) error { return errBroken }
		b.device.SetName = func(context.Context, string) error { panic("a fault") }
		b.device.Identify = func(context.Context) error { <-release; return nil }
		b.device.Restart = func() { restarted.Store(true) }
		b.pair()
		ctx, cancel := context.WithCancel(t.Context())
		go b.methods.run(ctx)
		began := time.Now()
		b.receive(b.now, "aerie/tv/method/"+service+"/forget-senders/1", nil)
		b.receive(b.now, "aerie/tv/method/"+service+"/set-name/2", []byte(`{"name":"x"}`))
		b.receive(b.now, "aerie/tv/method/"+service+"/identify/3", nil)
		b.receive(b.now, "aerie/tv/method/"+service+"/restart/4", nil)
		for i, want := range []string{`500 {"error":"broken"}`, `500 {"error":"fault: a fault"}`, `504 {"error":"it takes too long"}`} {
			b.finished(b.now, <-b.methods.results)
			expect(t, "a troubled method", strings.TrimPrefix(b.lines(), fmt.Sprintf("result/%s/%d/", service, i+1)), want)
		}
		if d := time.Since(began); d != callTime {
			t.Errorf("answered after %v", d)
		}
		close(release)
		b.finished(b.now, <-b.methods.results)
		expect(t, "restart", b.lines(), "result/"+service+"/4/200 ")
		if restarted.Load() {
			t.Error("restarted before it was answered")
		}
		time.Sleep(2 * restartPause)
		if !restarted.Load() {
			t.Error("not restarted")
		}
		cancel()
		synctest.Wait()
	})
}
