package status

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"time"

	"aerie/receiver/pattern/stamp"
)

//go:embed page
var page embed.FS

// An asset is a file of the page.
type asset struct {
	mediaType string
	content   []byte
	tag       string
}

// assets are all files of the page by path.
var assets = loadAssets()

var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

func loadAssets() map[string]*asset {
	found := make(map[string]*asset)
	add := func(name string, content []byte) {
		sum := sha256.Sum256(content)
		found["/"+name] = &asset{mediaTypes[path.Ext(name)], content, `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	files, err := fs.Glob(page, "page/*")
	if err != nil {
		panic(err) // the pattern is bad
	}
	for _, file := range files {
		content, err := page.ReadFile(file)
		if err != nil {
			panic(err) // the file is part of the program
		}
		add(path.Base(file), content)
	}
	add("stamp.js", stamp.Script)
	found["/{$}"] = found["/index.html"]
	delete(found, "/index.html")
	return found
}

// serve answers with the file, or says that the browser has it already.
func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", a.mediaType)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", a.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.content))
}
