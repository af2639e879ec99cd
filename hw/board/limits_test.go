package board

import (
	"strings"
	"testing"
)

func TestLimits(t *testing.T) {
	hot := Health{Now: Throttled | SoftLimit}
	weak := Health{Now: UnderVoltage, SinceBoot: UnderVoltage}
	for _, c := range []struct {
		name     string
		board    Board
		hardware bool
		health   Health
		want     Limits // but for Reason
	}{
		{"Pi 3", Board{Family: Pi3, CPUs: 4, Memory: 945 << 20, H264: true}, true, Health{}, Limits{1920, 1080, 60, 3, ""}},
		{"Pi 3 without its decoder", Board{Family: Pi3, CPUs: 4, Memory: 945 << 20, H264: true}, false, Health{}, Limits{1280, 720, 30, 3, ""}},
		{"Zero 2 W", Board{Family: Zero2W, CPUs: 4, Memory: 427 << 20, H264: true}, true, Health{}, Limits{1920, 1080, 30, 3, ""}},
		{"Pi 4", Board{Family: Pi4, CPUs: 4, Memory: 4 << 30, H264: true}, true, Health{}, Limits{1920, 1080, 60, 3, ""}},
		{"Pi 4, throttled", Board{Family: Pi4, CPUs: 4, Memory: 4 << 30, H264: true}, true, hot, Limits{1920, 1080, 60, 3, ""}},
		{"Pi 4 in software", Board{Family: Pi4, CPUs: 4, Memory: 4 << 30, H264: true}, false, Health{}, Limits{1920, 1080, 30, 3, ""}},
		{"Pi 5", Board{Family: Pi5, CPUs: 4, Memory: 8 << 30}, false, Health{}, Limits{1920, 1080, 60, 3, ""}},
		{"Pi 5 that claims hardware", Board{Family: Pi5, CPUs: 4, Memory: 8 << 30}, true, Health{}, Limits{1920, 1080, 60, 3, ""}},
		{"Pi 5, throttled", Board{Family: Pi5, CPUs: 4, Memory: 8 << 30}, false, hot, Limits{1280, 720, 30, 3, ""}},
		{"Pi 5, weak supply", Board{Family: Pi5, CPUs: 4, Memory: 8 << 30}, false, weak, Limits{1920, 1080, 60, 3, ""}},
		{"PC", Board{Family: PC, CPUs: 16}, false, Health{}, Limits{1920, 1080, 60, 1, ""}},
		{"old PC", Board{Family: PC, CPUs: 2}, false, Health{}, Limits{1280, 720, 30, 1, ""}},
		{"unknown", Board{CPUs: 1}, false, hot, Limits{960, 540, 30, 1, ""}},
		{"unknown with four", Board{CPUs: 4}, true, Health{}, Limits{1920, 1080, 30, 3, ""}},
	} {
		got := c.board.Limits(c.hardware, c.health)
		reason := got.Reason
		if got.Reason = ""; got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		if strings.Contains(reason, "throttled") != (got.Height == 720 && c.health.Now.slowed()) || reason == "" {
			t.Errorf("%s: reason %q", c.name, reason)
		}
	}
}
