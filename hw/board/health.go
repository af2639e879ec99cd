package board

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// Flags are troubles of power and heat, as the Pi's firmware numbers them
// (hardware reference section 10).
type Flags uint8

// Flags.
const (
	UnderVoltage Flags = 1 << iota // supply below about 4.63 V
	Capped                         // clock of the processors limited
	Throttled                      // processors slowed down
	SoftLimit                      // warm, and slowed down a little
)

// slowed reports whether the processors do not give their full speed.
func (f Flags) slowed() bool { return f&(Capped|Throttled|SoftLimit) != 0 }

func (f Flags) String() string {
	if f == 0 {
		return "none"
	}
	var s []string
	for i, name := range []string{"under-voltage", "clock capped", "throttled", "soft temperature limit"} {
		if f>>i&1 != 0 {
			s = append(s, name)
		}
	}
	return strings.Join(s, ", ")
}

// Health is how the machine fares at one moment.
type Health struct {
	Temperature float64 // of the processors in degrees Celsius; meaningless if !Warm
	Warm        bool    // the temperature is known
	Clock       int     // of the first processor in MHz; 0 if unknown
	Now         Flags
	SinceBoot   Flags
	Power       Source // where the flags come from
}

// Source is where the flags come from.
type Source int

// Sources, best first.
const (
	NoSource Source = iota // there are no flags on this machine
	Mailbox                // the firmware's mailbox
	Sysfs                  // the firmware driver's get_throttled
	Hwmon                  // the rpi_volt sensor: under-voltage alone
)

func (s Source) String() string {
	return [...]string{"none", "firmware mailbox", "sysfs", "hwmon"}[s]
}

// String describes the health in one line.
func (h Health) String() string {
	s := "temperature unknown"
	if h.Warm {
		s = fmt.Sprintf("%.1f °C", h.Temperature)
	}
	if h.Clock > 0 {
		s += fmt.Sprintf(", %d MHz", h.Clock)
	}
	if h.Power == NoSource {
		return s
	}
	return fmt.Sprintf("%s, trouble now: %v, since boot: %v", s, h.Now, h.SinceBoot)
}

// Check looks at the machine whose files are below root. mailbox asks the
// firmware for its flags; nil means that there is none.
func Check(root string, mailbox func() (uint32, error)) Health {
	r := tree(root)
	var h Health
	h.Temperature, h.Warm = r.temperature()
	if khz, err := strconv.ParseUint(r.text("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"), 10, 24); err == nil {
		h.Clock = int(khz / 1000)
	}
	word, source := r.flags(mailbox)
	h.Power = source
	h.Now, h.SinceBoot = Flags(word&0xf), Flags(word>>16&0xf)
	return h
}

// flags takes the best of the sources that answer.
func (r tree) flags(mailbox func() (uint32, error)) (uint32, Source) {
	if mailbox != nil {
		if w, err := mailbox(); err == nil {
			return w, Mailbox
		}
	}
	hex := strings.TrimPrefix(r.text("sys/devices/platform/soc/soc:firmware/get_throttled",
		"sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"), "0x")
	if w, err := strconv.ParseUint(hex, 16, 32); err == nil {
		return uint32(w), Sysfs
	}
	for i := range maxSensors {
		dir := path.Join("sys/class/hwmon", "hwmon"+strconv.Itoa(i))
		if r.text(path.Join(dir, "name")) != "rpi_volt" {
			continue
		}
		switch r.text(path.Join(dir, "in0_lcrit_alarm")) {
		case "0":
			return 0, Hwmon
		case "1": // the alarm is now, and so it has been since boot
			return uint32(UnderVoltage) * 0x10001, Hwmon
		}
	}
	return 0, NoSource
}

// maxSensors bounds the numbers of sensors and zones that are tried.
const maxSensors = 16

// temperature is that of the processors' thermal zone, or of the first zone
// that has one.
func (r tree) temperature() (celsius float64, ok bool) {
	for i := range maxSensors {
		zone := "sys/class/thermal/thermal_zone" + strconv.Itoa(i)
		milli, err := strconv.ParseInt(r.text(zone+"/temp"), 10, 32)
		if err != nil || milli < -60e3 || milli > 200e3 {
			continue
		}
		kind := r.text(zone + "/type")
		if cpu := anyOf(strings.ToLower(kind), "cpu", "pkg", "soc"); cpu || !ok {
			celsius, ok = float64(milli)/1000, true
			if cpu {
				return celsius, ok
			}
		}
	}
	return celsius, ok
}
