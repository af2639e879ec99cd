package receiver

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// source is one Go file of the tree.
type source struct {
	path, dir string
	file      *ast.File
	lines     int
}

func sources(t *testing.T) (all []source) {
	t.Helper()
	fset := token.NewFileSet()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2 || d.Name() == "testdata" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel("..", path)
		all = append(all, source{rel, filepath.ToSlash(filepath.Dir(rel)), f, fset.File(f.Pos()).LineCount()})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("only %d files found", len(all))
	}
	return all
}

func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) imports() (out []string) {
	for _, i := range s.file.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		out = append(out, p)
	}
	return out
}

// Imports point one way: cmd, receiver, its parts, wire and codec packages;
// drm and hw know nothing of AirPlay. cgo exists in one place.
func TestImportsPointOneWay(t *testing.T) {
	below := func(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }
	for _, s := range sources(t) {
		for _, p := range s.imports() {
			in, ours := strings.CutPrefix(p, "aerie/")
			switch {
			case p == "C" && !below(s.dir, "receiver/codec"):
				t.Errorf("%s: cgo", s.path)
			case !ours:
			case (below(s.dir, "drm") || below(s.dir, "hw")) && below(in, "receiver"):
				t.Errorf("%s imports %s: hardware packages know nothing of AirPlay", s.path, p)
			case strings.HasPrefix(s.dir, "receiver/") && (below(in, "drm") || below(in, "hw")):
				t.Errorf("%s imports %s: only package receiver joins hardware and protocol", s.path, p)
			case strings.HasPrefix(s.dir, "receiver/") && in == "receiver":
				t.Errorf("%s imports the receiver it is a part of", s.path)
			case !below(s.dir, "cmd") && below(in, "cmd"):
				t.Errorf("%s imports a command", s.path)
			}
		}
	}
}

// Every package says what it is for, and every file can be read in one go.
func TestFilesAndPackages(t *testing.T) {
	const longest = 450
	described := map[string]bool{}
	for _, s := range sources(t) {
		if s.lines > longest && !slices.Contains(tables, s.path) {
			t.Errorf("%s has %d lines, limit %d", s.path, s.lines, longest)
		}
		if !s.test() {
			described[s.dir] = described[s.dir] || s.file.Doc != nil && len(s.file.Doc.Text()) > 80
		}
	}
	for dir, ok := range described {
		if !ok {
			t.Errorf("package %s has no comment", dir)
		}
	}
}

// tables are files of data, which are as long as they are.
var tables = []string{"receiver/codec/eld/window480.go", "receiver/codec/eld/window512.go", "receiver/codec/eld/codebook.go"}

// Logic is handed its clock.
func TestLogicHasNoClockOfItsOwn(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() || !slices.Contains([]string{"receiver/playout", "receiver/session", "cmd/aerie-fleet/rollout", "receiver/pairing", "receiver/tv", "receiver/press",
			"receiver/fleet/twin", "receiver/fleet/pairing", "receiver/fleet/content", "receiver/fleet/wire"}, s.dir) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && (sel.Sel.Name == "Now" || sel.Sel.Name == "Sleep") {
					t.Errorf("%s calls time.%s", s.path, sel.Sel.Name)
				}
			}
			return true
		})
	}
}
