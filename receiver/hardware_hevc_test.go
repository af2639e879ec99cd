package receiver

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aerie/hw/v4l2"
	"aerie/hw/v4l2/stateless"
	"aerie/hw/v4l2/uapi"
	"aerie/receiver/codec/h264"
	"aerie/receiver/codec/hevc"
	"aerie/receiver/mirror"
	"golang.org/x/sys/unix"
)

// hevcParameters are what a sender says of a clip.
func hevcParameters(t *testing.T, name string) *mirror.Parameters {
	t.Helper()
	clip, err := os.ReadFile(filepath.Join("testdata", "hevc", name))
	if err != nil {
		t.Fatal(err)
	}
	sets := map[hevc.Type][][]byte{}
	for nal := range h264.AnnexB(clip) {
		if typ := hevc.TypeOf(nal); typ.IsParameterSet() && len(sets[typ]) == 0 {
			sets[typ] = append(sets[typ], nal)
		}
	}
	c, err := hevc.NewConfig(sets[hevc.TypeVPS], sets[hevc.TypeSPS], sets[hevc.TypePPS])
	if err != nil {
		t.Fatal(err)
	}
	return &mirror.Parameters{HEVC: true, Record: c.Append(nil), AnnexB: c.AppendAnnexB(nil), Width: 126, Height: 94}
}

func TestHEVCSuits(t *testing.T) {
	p := hevcParameters(t, "mirror.265")
	h := &Hardware{HEVC: &stateless.Device{Path: "/dev/video19"}}
	s, err := h.suit(p)
	if err != nil {
		t.Fatal(err)
	}
	if s.hevc == nil || s.width != 128 || s.height != 96 || !bytes.Equal(s.annexB, p.AnnexB) {
		t.Errorf("%+v", s)
	}
	if r := s.visible(p); r != (v4l2.Rect{W: 126, H: 94}) {
		t.Errorf("visible %+v", r)
	}
	if !s.hide([]byte{0, 0, 0, 3, 0x67, 1, 2}) {
		t.Error("an access unit of HEVC was looked at as if it were H.264")
	}
	if _, err := new(Hardware).suit(p); err == nil || !strings.Contains(err.Error(), "HEVC") {
		t.Errorf("without a decoder for HEVC: %v", err)
	}
	if _, err := h.suit(&mirror.Parameters{}); !errors.Is(err, v4l2.ErrNoDecoder) {
		t.Errorf("without a decoder for H.264: %v", err)
	}
	p.Record = p.Record[:20]
	if _, err := h.suit(p); err == nil {
		t.Error("half a record suits")
	}
}

// The picture that the hardware showed last is carried over in H.264, so that
// of HEVC is not.
func TestHEVCIsNotRescued(t *testing.T) {
	l := &v4l2.Layout{Format: uapi.NV12, Width: 16, Height: 16, Size: 384, Planes: []v4l2.Plane{{Pitch: 16}, {Offset: 256, Pitch: 16}}}
	fd, err := unix.MemfdCreate("picture", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, int64(l.Size)); err != nil {
		t.Fatal(err)
	}
	l.Buffers = []int{fd}
	s := &hardwareStream{sets: &hardwareSets{width: 16, height: 16}, memory: &scanout{layout: l}, newestHeld: true}
	if s.rescue() == nil {
		t.Error("a picture of H.264 is not rescued")
	}
	s.sets.hevc = new(hevc.SPS)
	if s.rescue() != nil {
		t.Error("a picture of HEVC is rescued")
	}
}
