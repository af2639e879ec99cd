package drm

import (
	"testing"
	"time"
)

// Timings as displays offer them; clocks and totals from CTA-861 and VESA DMT.
var (
	vic16      = newMode(tvMode(1920, 1080, 148500, 2200, 1125, false))
	vic16film  = newMode(tvMode(1920, 1080, 148352, 2200, 1125, false)) // 59.94
	vic31      = newMode(tvMode(1920, 1080, 148500, 2640, 1125, false)) // 50
	vic34      = newMode(tvMode(1920, 1080, 74250, 2200, 1125, false))  // 30
	vic95      = newMode(tvMode(3840, 2160, 297000, 4400, 2250, true))  // 30, as vc4 prefers on a 4K set
	vic4       = newMode(tvMode(1280, 720, 74250, 1650, 750, true))
	vga        = newMode(tvMode(640, 480, 25175, 800, 525, false))
	xga        = newMode(tvMode(1024, 768, 65000, 1344, 806, true))
	uxga       = newMode(tvMode(1600, 1200, 162000, 2160, 1250, false))
	wuxgaRB    = newMode(tvMode(1920, 1200, 154000, 2080, 1235, true))
	monitor    = newMode(tvMode(1920, 1080, 138500, 2080, 1111, true)) // 1080p60, CVT reduced blanking
	interlaced = func() Mode {
		m := tvMode(1920, 1080, 74250, 2200, 1125, false)
		m.flags = modeFlagInterlace
		return newMode(m)
	}()
)

func TestChooseMode(t *testing.T) {
	all := []Mode{vic95, vic34, vic31, vic16film, vic16, vic4, vga, interlaced}
	tests := []struct {
		name     string
		modes    []Mode
		override string
		want     Mode
		why      string
	}{
		{"4K set gets 1080p60", all, "", vic16, "1080p"},
		{"59.94 where 60 is not offered", []Mode{vic95, vic31, vic16film}, "", vic16film, "1080p"},
		{"50 where 60 is not offered", []Mode{vic95, vic34, vic31}, "", vic31, "1080p"},
		{"old 720p set", []Mode{vic4, interlaced, vga}, "", vic4, "preferred by the display"},
		{"office monitor", []Mode{monitor, xga, vga}, "", monitor, "preferred by the display"},
		{"monitor larger than 1080p", []Mode{wuxgaRB, vic4, vga}, "", vic4, "preferred by the display"},
		{"large one that only prefers itself", []Mode{wuxgaRB, vga}, "", wuxgaRB, "largest safe"},
		{"a clock at the very edge is not safe", []Mode{uxga, vga}, "", vga, "largest safe"},
		{"no EDID", []Mode{xga, vga}, "", xga, "preferred by the display"},
		{"only interlaced", []Mode{interlaced}, "", interlaced, "first offered"},
		{"override", all, "1280x720@60", vic4, "as set"},
		{"override without rate takes the fastest", all, "1920x1080", vic16, "as set"},
		{"override interlaced", all, "1920x1080i@60", interlaced, "as set"},
		{"override 59.94 is not 60", all, "1920x1080@59.94", vic16film, "as set"},
		{"override 60 takes 59.94 where there is no 60", []Mode{vic16film, vga}, "1920x1080@60", vic16film, "as set"},
		{"override 4K", all, "3840x2160@30", vic95, "as set"},
		{"override not offered", all, "1366x768", vic16, "1080p"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var o *Override
			if tt.override != "" {
				v, err := ParseOverride(tt.override)
				if err != nil {
					t.Fatal(err)
				}
				o = &v
			}
			m, why, ok := ChooseMode(tt.modes, o)
			if !ok || m != tt.want || why != tt.why {
				t.Errorf("chose %v (%s), want %v (%s)", m, why, tt.want, tt.why)
			}
		})
	}
	if _, _, ok := ChooseMode(nil, nil); ok {
		t.Error("chose a mode out of none")
	}
}

func TestModeRates(t *testing.T) {
	for _, tt := range []struct {
		m    Mode
		want string
		dt   time.Duration
	}{
		{vic16, "1920x1080@60", 16666666}, {vic16film, "1920x1080@59.94", 16683293}, {vic31, "1920x1080@50", 20000000},
		{vic95, "3840x2160@30", 33333333}, {interlaced, "1920x1080i@60", 16666666}, {vga, "640x480@59.94", 16683217},
	} {
		if tt.m.String() != tt.want || tt.m.Interval() != tt.dt {
			t.Errorf("%v every %v, want %s every %v", tt.m, tt.m.Interval(), tt.want, tt.dt)
		}
	}
	var none Mode
	if none.Interval() <= 0 {
		t.Error("a mode without a timing has no interval")
	}
}

func TestParseOverride(t *testing.T) {
	for s, want := range map[string]Override{
		"1920x1080@60":    {1920, 1080, 60000, false},
		"1280x720@59.94":  {1280, 720, 59940, false},
		"1920x1080":       {1920, 1080, 0, false},
		" 1920x1080i@50 ": {1920, 1080, 50000, true},
	} {
		if o, err := ParseOverride(s); err != nil || o != want {
			t.Errorf("%q: %+v %v", s, o, err)
		}
	}
	for _, s := range []string{"", "x", "1920", "1920x", "x1080", "0x0", "-1x5", "1920x1080@", "1920x1080@NaN", "1920x1080@-60", "1920x1080@1e9", "99999x99999"} {
		if o, err := ParseOverride(s); err == nil {
			t.Errorf("%q was taken as %+v", s, o)
		}
	}
}

func FuzzOverride(f *testing.F) {
	f.Add("1920x1080i@59.94")
	f.Fuzz(func(t *testing.T, s string) {
		o, err := ParseOverride(s)
		if err == nil && (o.Width < 1 || o.Height < 1 || o.Refresh != 0 && (o.Refresh < 1000 || o.Refresh > 1e6)) {
			t.Errorf("%q: %+v", s, o)
		}
	})
}
