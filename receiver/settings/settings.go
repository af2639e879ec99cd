// Package settings is the page on which an owner sets the receiver up: the
// Wi-Fi, the name, who may mirror. It changes the settings file, as an editor
// would.
//
//	GET  /settings/        the page, which says nothing about the receiver
//	GET  /settings/state   what the page shows; without a session, that a PIN is wanted
//	POST /settings/pin     show a PIN on the TV
//	POST /settings/enter   the PIN; begins a session
//	POST /settings/save    changes
//	POST /settings/leave   ends the session
//
// Whoever sees the TV may change settings, and nobody else: the page asks for a
// PIN that is only ever shown there. Guessing is slower with every wrong one.
// Requests are answered to the page itself and not to other sites: by the Origin
// (http.CrossOriginProtection), a header that forms cannot send, a cookie that
// other sites' requests do not carry and a token that they cannot read. Foreign
// names of this machine, connections and sizes are package status's to refuse,
// whose server this is a part of.
//
// Only some settings can be changed here: none that says where the receiver
// writes files, or that would take the page away. Passwords are set, and never
// told. On a network of others the PIN and what is saved can be read by those who
// read the air: there is no TLS without a name that others vouch for.
//
// Proof: gate_test.go (PIN and sessions on a simulated clock, guessing),
// settings_test.go (every answer; hostile visitors through the real server),
// page_test.go (headless Chromium, from the PIN to the saved file), FuzzSave.
package settings

import (
	"bytes"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path"
	"time"

	"aerie/receiver/config"
	"aerie/receiver/setup"
	"aerie/receiver/status"
)

// Path is below what the handler is to be found.
const Path = status.SettingsPath

// Options say what the page works on.
type Options struct {
	// Config returns the settings in force, and Mistake what is wrong with the
	// file, "" for nothing.
	Config  func() *config.Config
	Mistake func() string
	// Save writes changes to the file. A *config.FileError is the visitor's.
	Save func([]config.Change) error
	// Network tells how the machine stands; nil: it is not looked after.
	Network func() setup.Status
	// Visit is told of everybody who has the PIN; nil for nobody.
	Visit func()
	// ShowPIN shows a PIN on the TV, and with "" takes it away. It must not
	// block.
	ShowPIN func(pin string)
	Log     *slog.Logger
}

// Page answers requests below Path.
type Page struct {
	o       Options
	gate    *gate
	handler http.Handler
}

//go:embed page
var files embed.FS

// New returns the page.
func New(o Options) *Page {
	p := &Page{o: o, gate: newGate(o.ShowPIN)}
	mux := http.NewServeMux()
	for name, mediaType := range map[string]string{
		"{$}": "text/html; charset=utf-8", "settings.css": "text/css; charset=utf-8", "settings.js": "text/javascript; charset=utf-8",
	} {
		mux.HandleFunc("GET "+Path+name, file(name, mediaType))
	}
	mux.HandleFunc("GET "+Path+"state", p.state)
	mux.HandleFunc("POST "+Path+"pin", p.pin)
	mux.HandleFunc("POST "+Path+"enter", p.enter)
	mux.HandleFunc("POST "+Path+"save", p.save)
	mux.HandleFunc("POST "+Path+"leave", p.leave)
	p.handler = http.NewCrossOriginProtection().Handler(mux)
	return p
}

// ServeHTTP answers one request.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

func file(name, mediaType string) http.HandlerFunc {
	if name == "{$}" {
		name = "index.html"
	}
	content, err := files.ReadFile(path.Join("page", name))
	if err != nil {
		panic(err) // the file is part of the program
	}
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
}

// Names of what a request carries.
const (
	cookieName  = "aerie-settings"
	pageHeader  = "Aerie-Page"  // as package status has it
	tokenHeader = "Aerie-Token" // of changes
)

// session returns the session of a request.
func (p *Page) session(r *http.Request) *session {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	return p.gate.session(c.Value)
}

// maxBody bounds what a visitor sends; package status allows no more either.
const maxBody = 4 << 10

// read decodes the body of a request from the page.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if r.Header.Get(pageHeader) == "" {
		refuse(w, http.StatusForbidden, "Only the page itself may ask for this.")
		return false
	}
	if into == nil {
		return true
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "This is not what the page sends.")
	}
	return err == nil
}

// reply is an answer that says something in words.
type reply struct {
	Error string `json:"error"`
	Key   string `json:"key,omitempty"`          // of the setting that it is about
	Wait  int    `json:"wait_seconds,omitempty"` // before trying again
}

func refuse(w http.ResponseWriter, status int, why string) { answer(w, status, reply{Error: why}) }

func answer(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // nothing here has no form
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(b, '\n'))
}

// view is what the page shows.
type view struct {
	Locked   bool     `json:"locked,omitempty"` // and then nothing else
	Shown    bool     `json:"shown,omitempty"`  // a PIN is on the TV
	Token    string   `json:"token,omitempty"`
	Mistake  string   `json:"mistake,omitempty"`
	Network  *network `json:"network,omitempty"`
	Settings []field  `json:"settings,omitempty"`
}

// network is how the machine stands.
type network struct {
	Phase       setup.Phase   `json:"phase"`
	SSID        string        `json:"ssid,omitempty"`
	Failure     string        `json:"failure,omitempty"`
	AccessPoint string        `json:"access_point,omitempty"` // its name, while it is open
	Networks    []setup.Found `json:"networks,omitempty"`
}

func (p *Page) state(w http.ResponseWriter, r *http.Request) {
	s := p.session(r)
	if s == nil {
		answer(w, http.StatusOK, view{Locked: true, Shown: p.gate.shown()})
		return
	}
	if p.o.Visit != nil {
		p.o.Visit()
	}
	v := view{Token: s.token, Mistake: p.o.Mistake(), Settings: fields(p.o.Config(), p.o.Network != nil)}
	if p.o.Network != nil {
		st := p.o.Network()
		v.Network = &network{Phase: st.Phase, SSID: st.SSID, Failure: st.Failure, Networks: st.Networks}
		if st.AccessPoint.Page() != "" {
			v.Network.AccessPoint = st.AccessPoint.SSID
		}
	}
	answer(w, http.StatusOK, v)
}

// pin shows a PIN.
func (p *Page) pin(w http.ResponseWriter, r *http.Request) {
	if !read(w, r, nil) {
		return
	}
	if wait := p.gate.ask(); wait > 0 {
		tooSoon(w, wait)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func tooSoon(w http.ResponseWriter, wait time.Duration) {
	seconds := int(wait/time.Second) + 1
	answer(w, http.StatusTooManyRequests, reply{Error: "There were too many wrong PINs.", Wait: seconds})
}

// enter begins a session.
func (p *Page) enter(w http.ResponseWriter, r *http.Request) {
	var order struct {
		PIN string `json:"pin"`
	}
	if !read(w, r, &order) {
		return
	}
	id, wait, err := p.gate.enter(order.PIN)
	switch {
	case wait > 0:
		p.o.Log.Warn("too many wrong PINs for the settings", "from", r.RemoteAddr)
		tooSoon(w, wait)
		return
	case err != nil:
		refuse(w, http.StatusForbidden, err.Error())
		return
	}
	p.o.Log.Info("somebody is at the settings", "from", r.RemoteAddr)
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: id, Path: Path, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	w.WriteHeader(http.StatusNoContent)
}

// changing returns the session of a request that changes something, if it has
// one and the token.
func (p *Page) changing(w http.ResponseWriter, r *http.Request, into any) *session {
	if !read(w, r, into) {
		return nil
	}
	s := p.session(r)
	if s == nil {
		refuse(w, http.StatusUnauthorized, "The PIN is wanted again.")
		return nil
	}
	if subtle.ConstantTimeCompare([]byte(r.Header.Get(tokenHeader)), []byte(s.token)) != 1 {
		refuse(w, http.StatusForbidden, "This page is of an earlier visit: load it anew.")
		return nil
	}
	return s
}

// save changes settings.
func (p *Page) save(w http.ResponseWriter, r *http.Request) {
	var order struct {
		Changes []config.Change `json:"changes"`
	}
	if p.changing(w, r, &order) == nil {
		return
	}
	if key, is := forbidden(order.Changes); is {
		answer(w, http.StatusForbidden, reply{Error: "This is not changed here.", Key: key})
		return
	}
	err := p.o.Save(order.Changes)
	var mistake *config.FileError
	switch {
	case err == nil:
		p.o.Log.Info("settings are saved", "from", r.RemoteAddr, "keys", keys(order.Changes))
		w.WriteHeader(http.StatusNoContent)
	case errors.As(err, &mistake):
		answer(w, http.StatusUnprocessableEntity, reply{Error: mistake.Reason, Key: about(mistake.Reason, order.Changes)})
	default:
		p.o.Log.Error("settings cannot be saved", "error", err)
		refuse(w, http.StatusInternalServerError, "The settings file cannot be written.")
	}
}

// leave ends the session.
func (p *Page) leave(w http.ResponseWriter, r *http.Request) {
	if s := p.changing(w, r, nil); s != nil {
		p.gate.leave(s)
		w.WriteHeader(http.StatusNoContent)
	}
}

// HidePIN takes the PIN off the TV.
func (p *Page) HidePIN() { p.gate.hide() }
