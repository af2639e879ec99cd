package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"time"
)

//go:embed assets
var files embed.FS

// An asset is a file of the page.
type asset struct {
	mediaType string
	content   []byte
	tag       string
}

var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// assets are all files of the page by path.
var assets = load()

func load() map[string]*asset {
	found := map[string]*asset{}
	entries, err := files.ReadDir("assets")
	if err != nil {
		panic(err) // they are part of the program
	}
	for _, e := range entries {
		content, err := files.ReadFile("assets/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(content)
		a := &asset{mediaTypes[path.Ext(e.Name())], content, `"` + hex.EncodeToString(sum[:8]) + `"`}
		if e.Name() == "index.html" {
			found["/{$}"] = a
		} else {
			found["/"+e.Name()] = a
		}
	}
	return found
}

// serve answers with the file, or says that the browser has it already.
func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", a.mediaType)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", a.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.content))
}
