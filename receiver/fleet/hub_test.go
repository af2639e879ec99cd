package fleet

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"aerie/receiver/fleet/twin"
)

// hub is as much of Azure IoT Hub as its documentation tells a device: it
// checks who signs in, keeps a twin, and passes methods on.
type hub struct {
	t       *testing.T
	key     []byte // nil where devices have certificates
	address string

	mu                sync.Mutex
	conn              net.Conn
	desired, reported twin.Object
	version           int
	updates           int // of the reported half
	results           map[string]string
	signedIn, refused int
	odd               []string // what no hub would take
}

func newHub(t *testing.T, self *member, ca *member, key []byte) *hub {
	h := &hub{t: t, key: key, desired: twin.Object{}, reported: twin.Object{}, version: 1, results: map[string]string{}}
	config := self.tls(ca)
	config.ClientCAs, config.ClientAuth = config.RootCAs, tls.VerifyClientCertIfGiven
	ln, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	h.address = ln.Addr().String()
	t.Cleanup(func() { ln.Close(); h.cut() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go h.serve(c.(*tls.Conn))
		}
	}()
	return h
}

// cut ends the connection.
func (h *hub) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn != nil {
		h.conn.Close()
		h.conn = nil
	}
}

// admits checks user and password against the documentation, not against the
// code that made them.
func (h *hub) admits(c *tls.Conn, p *packets.ConnectPacket) bool {
	if p.ProtocolName != "MQTT" || p.ProtocolVersion != 4 || p.Username != "127.0.0.1/tv/?api-version=2021-04-12" || p.ClientIdentifier != "tv" || p.WillRetain {
		h.odd = append(h.odd, fmt.Sprintf("%+v", p))
		return false
	}
	if h.key == nil {
		chain := c.ConnectionState().PeerCertificates
		return len(chain) > 0 && chain[0].Subject.CommonName == "tv"
	}
	query, ok := strings.CutPrefix(string(p.Password), "SharedAccessSignature ")
	v, err := url.ParseQuery(query)
	end, _ := strconv.ParseInt(v.Get("se"), 10, 64)
	mac := hmac.New(sha256.New, h.key)
	fmt.Fprintf(mac, "%s\n%d", url.QueryEscape(v.Get("sr")), end)
	return ok && err == nil && v.Get("sr") == "127.0.0.1/devices/tv" && time.Now().Unix() < end && v.Get("sig") == base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func (h *hub) serve(c *tls.Conn) {
	defer c.Close()
	for {
		p, err := packets.ReadPacket(c)
		if err != nil {
			return
		}
		h.mu.Lock()
		switch p := p.(type) {
		case *packets.ConnectPacket:
			answer := packets.NewControlPacket(packets.Connack).(*packets.ConnackPacket)
			if h.admits(c, p) {
				h.signedIn++
				h.conn = c
			} else {
				h.refused++
				answer.ReturnCode = packets.ErrRefusedNotAuthorised
			}
			_ = answer.Write(c)
		case *packets.SubscribePacket:
			answer := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
			answer.MessageID = p.MessageID
			for _, f := range p.Topics {
				if !strings.HasPrefix(f, "$iothub/") {
					h.odd = append(h.odd, f)
				}
				answer.ReturnCodes = append(answer.ReturnCodes, 1)
			}
			_ = answer.Write(c)
		case *packets.PublishPacket:
			if p.Retain || p.Qos > 1 {
				h.odd = append(h.odd, p.String())
			}
			h.take(p.TopicName, p.Payload)
		case *packets.PingreqPacket:
			_ = packets.NewControlPacket(packets.Pingresp).Write(c)
		}
		h.mu.Unlock()
	}
}

// say publishes to the device, under the lock.
func (h *hub) say(topic string, payload []byte) {
	if h.conn == nil {
		return
	}
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload = topic, payload
	_ = p.Write(h.conn)
}

// take takes what a device publishes.
func (h *hub) take(topic string, payload []byte) {
	path, rid, _ := strings.Cut(topic, "?$rid=")
	switch {
	case path == "$iothub/twin/GET/":
		desired, reported := twin.Merge(h.desired, twin.Object{"$version": h.version}), twin.Merge(h.reported, twin.Object{"$version": h.updates})
		text, _ := json.Marshal(map[string]any{"desired": desired, "reported": reported})
		h.say("$iothub/twin/res/200/?$rid="+rid, text)
	case path == "$iothub/twin/PATCH/properties/reported/":
		patch, err := twin.Parse(payload)
		if err != nil {
			h.odd = append(h.odd, string(payload))
			return
		}
		h.updates++
		h.reported = twin.Merge(h.reported, patch)
		h.say(fmt.Sprintf("$iothub/twin/res/204/?$rid=%s&$version=%d", rid, h.updates), nil)
	case strings.HasPrefix(path, "$iothub/methods/res/"):
		if !json.Valid(payload) {
			h.odd = append(h.odd, string(payload))
		}
		h.results[rid] = strings.TrimPrefix(path, "$iothub/methods/res/") + " " + string(payload)
	default:
		h.odd = append(h.odd, topic)
	}
}

// desire changes the desired half.
func (h *hub) desire(patch twin.Object) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.version++
	h.desired = twin.Merge(h.desired, patch)
	text, _ := json.Marshal(twin.Merge(patch, twin.Object{"$version": h.version}))
	h.say(fmt.Sprintf("$iothub/twin/PATCH/properties/desired/?$version=%d", h.version), text)
}

func (h *hub) call(name, rid string, payload []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.say("$iothub/methods/POST/"+name+"/?$rid="+rid, payload)
}

func (h *hub) eventually(what string, is func() bool) {
	h.t.Helper()
	for range 600 {
		h.mu.Lock()
		ok := is()
		h.mu.Unlock()
		if ok {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	h.t.Fatalf("never: %s; the hub has %v, results %v, odd %q", what, h.reported, h.results, h.odd)
}
