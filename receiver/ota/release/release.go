// Package release reads, checks, fetches and makes signed releases: a static
// program and a signature in minisign's format (Ed25519 over the BLAKE2b-512
// of the file, "ED"), whose trusted comment says what was signed. The comment
// has a signature of its own, so it is believed before a byte of the program
// is fetched: product, architecture, counter and size are checked first, and
// the size bounds the download. Afterwards the whole file is checked.
//
// A release is found in a folder of a web server or of a medium (Source).
// What protects is the signature; TLS is there so that strangers do not learn
// what a device runs, and cannot keep it from updates without being noticed.
//
// What is done with a release - slots, self-test, swap, going back - is left to
// package ota, and so is flushing files to the disk. minisign's format is read by
// aead.dev/minisign; with the HTTPS client it makes the program 440 KB larger.
//
// Proof: release_test.go (comments, keys, what is refused and with which error),
// minisign_test.go (Debian's minisign, both ways), download_test.go (resumption
// in simulated time), web_test.go (hostile servers), tls_test.go (clocks that
// are wrong), folder_test.go (hostile media), and fuzz targets for what comes
// from outside.
package release

import (
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// Product is this program in comments and file names.
const Product = "aerie"

// Errors that callers branch on. They come wrapped with what was found.
var (
	ErrFormat       = errors.New("not the signature of a release")
	ErrKey          = errors.New("signed by a key that is not trusted here")
	ErrSignature    = errors.New("the signature is not genuine")
	ErrContent      = errors.New("the file is not the one that was signed")
	ErrProduct      = errors.New("a release of another product")
	ErrArchitecture = errors.New("a release for another architecture")
	ErrCounter      = errors.New("a release older than the one here")
	ErrCurrent      = errors.New("the release that is here already")
	ErrNone         = errors.New("there is no release for this machine")
	ErrStalled      = errors.New("nothing arrives any more")
	ErrTooLong      = errors.New("the download took too long")
	ErrInsecure     = errors.New("not an HTTPS address")
)

// Limits on what a signature may claim.
const (
	// MaxSize bounds the program, in bytes: ten times what it has today.
	MaxSize = 200 << 20
	// MaxSignature bounds the signature file, in bytes.
	MaxSignature = 4 << 10

	maxComment = 1 << 10 // bytes
	maxFields  = 16
)

// Info is what the trusted comment of a signature says about a release.
type Info struct {
	Product string // a lower-case word: Product
	Arch    string // Debian's name: amd64, arm64 or armhf
	Version string // for people; nothing is decided by it
	// Counter orders the releases of a product: a device never goes to a
	// lower one. From 1.
	Counter uint64
	Size    int64    // of the program in bytes, 1 to MaxSize
	SHA256  [32]byte // of the program
	File    string   // the program's name in the folder of the signature
}

// The form of words in a comment. File names cannot leave their folder, and
// FAT can hold them.
var (
	word     = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	version  = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}$`)
	fileName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+_-]{0,127}$`)
	fieldKey = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
)

// valid tells what is wrong with the claims, if anything.
func (i Info) valid() error {
	switch {
	case !word.MatchString(i.Product):
		return fmt.Errorf("%w: product %.40q", ErrFormat, i.Product)
	case !word.MatchString(i.Arch):
		return fmt.Errorf("%w: architecture %.40q", ErrFormat, i.Arch)
	case !version.MatchString(i.Version):
		return fmt.Errorf("%w: version %.80q", ErrFormat, i.Version)
	case i.Counter == 0:
		return fmt.Errorf("%w: a counter of 0", ErrFormat)
	case i.Size < 1 || i.Size > MaxSize:
		return fmt.Errorf("%w: %d bytes, allowed are 1 to %d", ErrFormat, i.Size, MaxSize)
	case !fileName.MatchString(i.File):
		return fmt.Errorf("%w: file name %.80q", ErrFormat, i.File)
	}
	return nil
}

// comment writes the trusted comment.
func (i Info) comment() string {
	return fmt.Sprintf("product=%s arch=%s version=%s counter=%d size=%d sha256=%x file=%s",
		i.Product, i.Arch, i.Version, i.Counter, i.Size, i.SHA256, i.File)
}

// parseComment reads a trusted comment: fields KEY=VALUE with one space
// between them, each once. Fields that are not known are left alone, so that
// a later release can say more to those who understand it.
func parseComment(text string) (i Info, err error) {
	if len(text) > maxComment {
		return Info{}, fmt.Errorf("%w: a comment of %d bytes, allowed are %d", ErrFormat, len(text), maxComment)
	}
	fields := strings.Split(text, " ")
	if len(fields) > maxFields {
		return Info{}, fmt.Errorf("%w: %d fields in the comment, allowed are %d", ErrFormat, len(fields), maxFields)
	}
	value := map[string]string{}
	for _, f := range fields {
		k, v, ok := strings.Cut(f, "=")
		if _, twice := value[k]; !ok || twice || !fieldKey.MatchString(k) {
			return Info{}, fmt.Errorf("%w: field %.40q in the comment", ErrFormat, f)
		}
		value[k] = v
	}
	i = Info{Product: value["product"], Arch: value["arch"], Version: value["version"], File: value["file"]}
	if i.Counter, err = number(value["counter"]); err != nil {
		return Info{}, fmt.Errorf("%w: counter %.40q", ErrFormat, value["counter"])
	}
	size, err := number(value["size"])
	if err != nil || size > MaxSize {
		return Info{}, fmt.Errorf("%w: size %.40q, allowed are %d bytes", ErrFormat, value["size"], MaxSize)
	}
	i.Size = int64(size)
	sum, err := hex.DecodeString(value["sha256"])
	if err != nil || len(sum) != len(i.SHA256) || hex.EncodeToString(sum) != value["sha256"] {
		return Info{}, fmt.Errorf("%w: sha256 %.80q", ErrFormat, value["sha256"])
	}
	copy(i.SHA256[:], sum)
	return i, i.valid()
}

// number reads a decimal number in its only form, so that a comment can be
// written in one way alone.
func number(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err == nil && strconv.FormatUint(n, 10) != s {
		err = strconv.ErrSyntax
	}
	return n, err
}

// For tells whether this release may follow the one with the counter `after`
// on a machine: nil, ErrProduct, ErrArchitecture, ErrCounter for an older one,
// or ErrCurrent for the same.
func (i Info) For(product, arch string, after uint64) error {
	switch {
	case i.Product != product:
		return fmt.Errorf("%w: %s, not %s", ErrProduct, i.Product, product)
	case i.Arch != arch:
		return fmt.Errorf("%w: %s, not %s", ErrArchitecture, i.Arch, arch)
	case i.Counter < after:
		return fmt.Errorf("%w: %s has the counter %d, here is %d", ErrCounter, i.Version, i.Counter, after)
	case i.Counter == after:
		return fmt.Errorf("%w: %s", ErrCurrent, i.Version)
	}
	return nil
}

// Arch is this program's architecture by the name that releases use.
func Arch() string {
	if runtime.GOARCH == "arm" {
		return "armhf"
	}
	return runtime.GOARCH
}

// Signature files: that of one release lies beside it, and a copy of the
// newest one's is the index by which devices find it.
const suffix = ".minisig"

// FileName is what the program of a release is called in a folder.
func FileName(product, arch, version string) string { return product + "-" + arch + "-" + version }

// SignatureName is the name of the signature of a file.
func SignatureName(file string) string { return file + suffix }

// IndexName is the name of the signature of the newest release of a product
// for an architecture.
func IndexName(product, arch string) string { return product + "-" + arch + suffix }
