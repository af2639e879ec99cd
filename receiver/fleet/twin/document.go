package twin

import (
	"fmt"
	"maps"
)

// The names that a document has beside its properties.
const (
	runName     = "$run"
	versionName = "$version"
)

// maxRun bounds the name of a run, which is a UUID.
const maxRun = 64

// Document is a half that one writer owns and publishes whole.
type Document struct {
	// Run names the life of the writer in which it wrote this: versions begin
	// anew in each, so that a writer needs to remember nothing.
	Run        string
	Version    int64 // from 1, one more with each change
	Properties Object
}

// ParseDocument reads a document. Errors are those of Parse.
func ParseDocument(text []byte) (Document, error) {
	o, err := Parse(text)
	if err != nil {
		return Document{}, err
	}
	d := Document{Properties: o}
	var ok bool
	if d.Run, ok = Text(o, runName, maxRun); !ok {
		return Document{}, fmt.Errorf("%w: no %s", ErrMalformed, runName)
	}
	if d.Version, ok = Integer(o, versionName); !ok || d.Version == 0 {
		return Document{}, fmt.Errorf("%w: no %s", ErrMalformed, versionName)
	}
	delete(o, runName)
	delete(o, versionName)
	return d, nil
}

// Encode writes a document. It fails where nobody would take it.
func (d Document) Encode() ([]byte, error) {
	o := maps.Clone(d.Properties)
	if o == nil {
		o = Object{}
	}
	o[runName], o[versionName] = d.Run, d.Version
	return Encode(o)
}

// A Writer owns a half. The zero value with a Run is ready.
type Writer struct {
	Run      string
	document Document
}

// Set changes the half to other properties and returns the document to
// publish; without a change, the one before, and changed is false.
func (w *Writer) Set(properties Object) (d Document, changed bool) {
	if w.document.Version > 0 && Equal(w.document.Properties, properties) {
		return w.document, false
	}
	return w.Again(properties), true
}

// Again is Set that counts as a change even where nothing differs, for a
// request that is repeated.
func (w *Writer) Again(properties Object) Document {
	w.document = Document{Run: w.Run, Version: w.document.Version + 1, Properties: properties}
	return w.document
}

// Document is the half as it is; its version is 0 before the first Set. A
// writer publishes it again on every new connection: a broker may have
// forgotten it, or kept an older one.
func (w *Writer) Document() Document { return w.document }

// A Reader takes the documents of one writer in their order, each once,
// however they arrive. The zero value has seen none.
type Reader struct {
	run, before string // the writer's life, and the one before it
	version     int64
}

// Take tells whether a document is news: of a later version than those of its
// run, or of a run that was not seen yet. An earlier run is over when another
// has begun.
func (r *Reader) Take(d Document) bool {
	switch {
	case d.Run == r.run && d.Version <= r.version, d.Run == r.before && d.Run != r.run:
		return false
	case d.Run != r.run:
		r.before, r.run = r.run, d.Run
	}
	r.version = d.Version
	return true
}
