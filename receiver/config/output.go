package config

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseSize parses "1920x1080". Sides are even and between 64 and 8192.
func ParseSize(s string) (width, height int, err error) {
	w, h, ok := strings.Cut(s, "x")
	width, errW := strconv.Atoi(w)
	height, errH := strconv.Atoi(h)
	if !ok || errW != nil || errH != nil {
		return 0, 0, fmt.Errorf("%q is not a size such as 1920x1080", s)
	}
	for _, side := range []int{width, height} {
		if side < 64 || side > 8192 || side%2 != 0 {
			return 0, 0, fmt.Errorf("%q: sides are even and between 64 and 8192", s)
		}
	}
	return width, height, nil
}

// Output is where picture or sound goes: a kind and, of some, a path or
// device.
type Output struct{ Kind, Path string }

func (o Output) String() string {
	if o.Path == "" {
		return o.Kind
	}
	return o.Kind + ":" + o.Path
}

// ParseVideo parses the value of video.output.
func ParseVideo(s string) (Output, error) {
	return parseOutput(s, map[string]bool{"auto": false, "kms": false, "browser": false, "none": false, "file": true, "raw": true}, "")
}

// ParseAudio parses the value of audio.output.
func ParseAudio(s string) (Output, error) {
	return parseOutput(s, map[string]bool{"auto": false, "none": false, "file": true}, "alsa")
}

// parseOutput parses KIND or KIND:PATH. The value of a kind tells whether it
// has a path; that of the optional kind may be left out.
func parseOutput(s string, kinds map[string]bool, optional string) (Output, error) {
	kind, path, colon := strings.Cut(s, ":")
	wants, known := kinds[kind]
	switch {
	case kind == optional && optional != "":
		if colon && path == "" {
			return Output{}, fmt.Errorf("%q lacks the device behind the colon", s)
		}
		return Output{kind, path}, nil
	case !known:
		return Output{}, fmt.Errorf("%q is not known", s)
	case wants && path == "":
		return Output{}, fmt.Errorf("%q lacks a path: %s:PATH", s, kind)
	case !wants && colon:
		return Output{}, fmt.Errorf("%q takes no path", kind)
	}
	return Output{kind, path}, nil
}
