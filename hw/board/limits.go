package board

// Limits are what a receiver on the board should promise a sender.
type Limits struct {
	Width, Height int // of the picture, at most
	FPS           int // pictures per second, at most
	Threads       int // for decoding in software
	Reason        string
}

// Limits says what the board is good for at its present health. hardware says
// whether its H.264 decoder is in use; without one the processors decode.
//
// The sizes are those of the hardware reference: no Pi's H.264 decoder takes
// more than 1920x1080 (section 1.2), and 1080p60 is within its reach (75
// pictures per second measured on a 3+); a Pi 4 decodes some 65 to 80 pictures
// of 1080p per second in software, a Pi 5 an estimated 110 to 140 (section 2),
// a Pi 3 22. A machine that is throttled has to promise less (section 10).
func (b Board) Limits(hardware bool, h Health) Limits {
	l := Limits{Width: 1920, Height: 1080, FPS: 60, Threads: b.threads()}
	if hardware && b.H264 {
		l.Reason = "H.264 in hardware"
		if b.Memory > 0 && b.Memory < small {
			// The Zero 2 W: the decoder would do more, but 512 MB leave
			// little for contiguous buffers and the network.
			l.FPS, l.Reason = 30, "H.264 in hardware, little memory"
		}
		return l
	}
	switch {
	case b.Family == PC && b.CPUs >= 4:
		// One of its processors is enough, and does not delay the picture.
		l.Threads, l.Reason = 1, "H.264 in software"
	case b.Family == Pi5:
		l.Reason = "H.264 in software"
	case b.Family == Pi4, b.CPUs >= 4 && !b.Family.Pi():
		l.FPS, l.Reason = 30, "H.264 in software"
	case b.CPUs >= 2:
		l.Width, l.Height, l.FPS, l.Reason = 1280, 720, 30, "H.264 in software on a slow processor"
	default:
		l.Width, l.Height, l.FPS, l.Reason = 960, 540, 30, "H.264 in software on one processor"
	}
	if h.Now.slowed() && (l.Height > 720 || l.FPS > 30) {
		l.Width, l.Height, l.FPS, l.Reason = 1280, 720, 30, l.Reason+", throttled: "+h.Now.String()
	}
	return l
}

// small is what a board with 512 MB has less than.
const small = 600 << 20

// threads is how many of the processors decode: on a Pi all but one, which the
// network, the sound and the display share. More than four gain nothing for
// pictures of one or two slices.
func (b Board) threads() int { return max(1, min(b.CPUs-1, 4)) }
