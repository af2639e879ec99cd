package session

import (
	"strings"

	"aerie/receiver/message"
	"aerie/receiver/pairing"
	"aerie/receiver/rtsp"
)

// handlers is what is answered. The key is the method, with the path behind
// it for GET, POST and PUT, whose other targets name resources.
var handlers = map[string]func(*conn, *rtsp.Request) *rtsp.Response{
	"OPTIONS":              (*conn).options,
	"GET /info":            (*conn).info,
	"POST /pair-setup":     (*conn).pairSetup,
	"POST /pair-verify":    (*conn).pairVerify,
	"POST /pair-pin-start": (*conn).pinStart,
	"POST /pair-setup-pin": (*conn).pinSetup,
	"POST /pair-add":       (*conn).pairManage,
	"POST /pair-remove":    (*conn).pairManage,
	"POST /pair-list":      (*conn).pairManage,
	"POST /fp-setup":       (*conn).fpSetup,
	"POST /fp-setup2":      (*conn).fpSetup2,
	"POST /auth-setup":     (*conn).authSetup,
	"ANNOUNCE":             (*conn).announce,
	"SETUP":                (*conn).setup,
	"RECORD":               (*conn).record,
	"FLUSH":                (*conn).flush,
	"PAUSE":                (*conn).flush,
	"TEARDOWN":             (*conn).teardown,
	"GET_PARAMETER":        (*conn).getParameter,
	"SET_PARAMETER":        (*conn).setParameter,
	"POST /feedback":       (*conn).feedback,
	"SETPEERS":             (*conn).setPeers,
	"SETPEERSX":            (*conn).setPeers,
	"SETRATEANCHORTIME":    (*conn).setRateAnchor,
	"SETRATE":              (*conn).accept,
	"SETMAGICCOOKIE":       (*conn).accept,
	"FLUSHBUFFERED":        (*conn).flushBuffered,
	"POST /audioMode":      (*conn).accept,
	"POST /command":        (*conn).accept,
}

const public = "ANNOUNCE, SETUP, RECORD, PAUSE, FLUSH, FLUSHBUFFERED, TEARDOWN, OPTIONS, GET_PARAMETER, SET_PARAMETER, POST, GET"

// answer finds the handler of a request. What nobody knows is answered
// sensibly, logged once and never fatal: new systems ask new things.
func (c *conn) answer(q *rtsp.Request) *rtsp.Response {
	key := q.Method
	resource := q.Method == "GET" || q.Method == "POST" || q.Method == "PUT"
	if resource {
		key += " " + q.Path()
	}
	if h, ok := handlers[key]; ok {
		return h(c, q)
	}
	if c.server.seen.first(key) {
		c.log.Info("session: a request that is not known here", "request", cut(key), "proto", q.Proto, "agent", c.sender.UserAgent)
	}
	if resource {
		return status(404)
	}
	return status(501)
}

func cut(s string) string { return s[:min(len(s), 80)] }

func status(code int) *rtsp.Response { return &rtsp.Response{Status: code} }

func body(contentType string, b []byte) *rtsp.Response {
	return &rtsp.Response{Status: 200, Header: rtsp.Header{{Name: "Content-Type", Value: contentType}}, Body: b}
}

// bad refuses a request and says why in the log.
func (c *conn) bad(q *rtsp.Request, code int, err error) *rtsp.Response {
	c.log.Warn("session: request refused", "request", cut(q.Method+" "+q.Path()), "status", code, "error", err)
	return status(code)
}

func (c *conn) accept(*rtsp.Request) *rtsp.Response { return status(200) }

func (c *conn) options(*rtsp.Request) *rtsp.Response {
	p := status(200)
	p.Header.Add("Public", public)
	return p
}

// info answers both forms of GET /info, and the one of senders that found us
// by other means than mDNS (reference sections 4 and 1.3).
func (c *conn) info(q *rtsp.Request) *rtsp.Response {
	capabilities := c.server.Capabilities()
	if query := q.Query(); query != "" {
		// "/info?txtAirPlay&txtRAOP" comes without a body.
		return body(rtsp.TypeBinaryPlist, capabilities.Info(strings.Split(query, "&")))
	}
	qualifiers, err := message.ParseQualifiers(q.Body)
	if err != nil {
		return c.bad(q, 400, err)
	}
	return body(rtsp.TypeBinaryPlist, capabilities.Info(qualifiers))
}

// pairResult answers a step of pairing.
func (c *conn) pairResult(q *rtsp.Request, b []byte, err error) *rtsp.Response {
	if err != nil {
		return c.bad(q, pairing.Status(err), err)
	}
	return body(rtsp.TypeOctets, b)
}

func (c *conn) pairSetup(q *rtsp.Request) *rtsp.Response {
	if c.homekit(q, legacySetupSize) {
		reply, err := c.pairing.HomeKitSetup(q.Body)
		return c.homekitResult(q, reply, err)
	}
	b, err := c.pairing.Setup(q.Body)
	return c.pairResult(q, b, err)
}

func (c *conn) pairVerify(q *rtsp.Request) *rtsp.Response {
	if c.homekit(q, legacyVerifySize) {
		reply, err := c.pairing.HomeKitVerify(q.Body)
		return c.homekitResult(q, reply, err)
	}
	b, err := c.pairing.Verify(q.Body)
	return c.pairResult(q, b, err)
}

func (c *conn) pinStart(q *rtsp.Request) *rtsp.Response {
	return c.pairResult(q, nil, c.pairing.StartPIN())
}

func (c *conn) pinSetup(q *rtsp.Request) *rtsp.Response {
	m, err := message.ParsePINSetup(q.Body)
	if err != nil {
		return c.bad(q, 400, err)
	}
	r, err := c.pairing.SetupPIN(pairing.PINRequest{Method: m.Method, User: m.User, PK: m.PublicKey, Proof: m.Proof, EPK: m.EncryptedKey, AuthTag: m.AuthTag})
	if err != nil {
		return c.bad(q, pairing.Status(err), err)
	}
	out := message.PINSetup{Salt: r.Salt, PublicKey: r.PK, Proof: r.Proof, EncryptedKey: r.EPK, AuthTag: r.AuthTag}
	return body(rtsp.TypeBinaryPlist, out.Encode())
}

func (c *conn) fpSetup(q *rtsp.Request) *rtsp.Response {
	b, err := c.handshake.Reply(q.Body)
	if err != nil {
		return c.bad(q, 400, err)
	}
	return body(rtsp.TypeOctets, b)
}

// fpSetup2 is for protected video, which no receiver of this kind can play.
func (c *conn) fpSetup2(*rtsp.Request) *rtsp.Response { return status(421) }
