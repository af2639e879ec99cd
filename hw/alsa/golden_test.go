package alsa

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"aerie/hw/lab/headers"
)

// layout says the same as testdata/uapi.c about the Go structs and constants.
func layout() map[string]string {
	m := map[string]string{}
	dec := func(name string, v uintptr) { m[name] = fmt.Sprint(v) }
	num := func(name string, v uintptr) {
		m[name] = fmt.Sprintf("%#x", v)
		if v == 0 {
			m[name] = "0" // as printf("%#lx") has it
		}
	}
	dec("sizeof(snd_mask)", unsafe.Sizeof(mask{}))
	dec("sizeof(snd_interval)", unsafe.Sizeof(interval{}))
	dec("snd_interval.max", unsafe.Offsetof(interval{}.Max))

	var hw hwParams
	dec("sizeof(snd_pcm_hw_params)", unsafe.Sizeof(hw))
	dec("snd_pcm_hw_params.masks", unsafe.Offsetof(hw.Masks))
	dec("snd_pcm_hw_params.intervals", unsafe.Offsetof(hw.Intervals))
	dec("snd_pcm_hw_params.rmask", unsafe.Offsetof(hw.Rmask))
	dec("snd_pcm_hw_params.cmask", unsafe.Offsetof(hw.Cmask))
	dec("snd_pcm_hw_params.info", unsafe.Offsetof(hw.Info))
	dec("snd_pcm_hw_params.msbits", unsafe.Offsetof(hw.Msbits))
	dec("snd_pcm_hw_params.rate_num", unsafe.Offsetof(hw.RateNum))
	dec("snd_pcm_hw_params.rate_den", unsafe.Offsetof(hw.RateDen))
	dec("snd_pcm_hw_params.fifo_size", unsafe.Offsetof(hw.FifoSize))

	var sw swParams
	dec("sizeof(snd_pcm_sw_params)", unsafe.Sizeof(sw))
	dec("snd_pcm_sw_params.tstamp_mode", unsafe.Offsetof(sw.TstampMode))
	dec("snd_pcm_sw_params.period_step", unsafe.Offsetof(sw.PeriodStep))
	dec("snd_pcm_sw_params.avail_min", unsafe.Offsetof(sw.AvailMin))
	dec("snd_pcm_sw_params.start_threshold", unsafe.Offsetof(sw.StartThreshold))
	dec("snd_pcm_sw_params.stop_threshold", unsafe.Offsetof(sw.StopThreshold))
	dec("snd_pcm_sw_params.silence_threshold", unsafe.Offsetof(sw.SilenceThreshold))
	dec("snd_pcm_sw_params.silence_size", unsafe.Offsetof(sw.SilenceSize))
	dec("snd_pcm_sw_params.boundary", unsafe.Offsetof(sw.Boundary))
	dec("snd_pcm_sw_params.proto", unsafe.Offsetof(sw.Proto))
	dec("snd_pcm_sw_params.tstamp_type", unsafe.Offsetof(sw.TstampType))

	var st pcmStatus
	dec("sizeof(snd_pcm_status)", unsafe.Sizeof(st))
	dec("snd_pcm_status.trigger_tstamp", unsafe.Offsetof(st.TriggerTstamp))
	dec("snd_pcm_status.tstamp", unsafe.Offsetof(st.Tstamp))
	dec("snd_pcm_status.appl_ptr", unsafe.Offsetof(st.ApplPtr))
	dec("snd_pcm_status.hw_ptr", unsafe.Offsetof(st.HwPtr))
	dec("snd_pcm_status.delay", unsafe.Offsetof(st.Delay))
	dec("snd_pcm_status.avail", unsafe.Offsetof(st.Avail))
	dec("snd_pcm_status.avail_max", unsafe.Offsetof(st.AvailMax))
	dec("snd_pcm_status.overrange", unsafe.Offsetof(st.Overrange))
	dec("snd_pcm_status.suspended_state", unsafe.Offsetof(st.SuspendedState))
	dec("snd_pcm_status.audio_tstamp_data", unsafe.Offsetof(st.AudioTstampData))
	dec("snd_pcm_status.audio_tstamp", unsafe.Offsetof(st.AudioTstamp))
	dec("snd_pcm_status.driver_tstamp", unsafe.Offsetof(st.DriverTstamp))
	dec("snd_pcm_status.audio_tstamp_accuracy", unsafe.Offsetof(st.AudioTstampAccuracy))

	var ms mmapStatus
	dec("sizeof(snd_pcm_mmap_status)", unsafe.Sizeof(ms))
	dec("snd_pcm_mmap_status.hw_ptr", unsafe.Offsetof(ms.HwPtr))
	dec("snd_pcm_mmap_status.tstamp", unsafe.Offsetof(ms.Tstamp))
	dec("snd_pcm_mmap_status.suspended_state", unsafe.Offsetof(ms.SuspendedState))
	dec("snd_pcm_mmap_status.audio_tstamp", unsafe.Offsetof(ms.AudioTstamp))
	var mc mmapControl
	dec("sizeof(snd_pcm_mmap_control)", unsafe.Sizeof(mc))
	dec("snd_pcm_mmap_control.appl_ptr", unsafe.Offsetof(mc.ApplPtr))
	dec("snd_pcm_mmap_control.avail_min", unsafe.Offsetof(mc.AvailMin))
	var sp syncPtr
	dec("sizeof(snd_pcm_sync_ptr)", unsafe.Sizeof(sp))
	dec("snd_pcm_sync_ptr.s", unsafe.Offsetof(sp.Status))
	dec("snd_pcm_sync_ptr.c", unsafe.Offsetof(sp.Control))
	var x xferi
	dec("sizeof(snd_xferi)", unsafe.Sizeof(x))
	dec("snd_xferi.buf", unsafe.Offsetof(x.Buf))
	dec("snd_xferi.frames", unsafe.Offsetof(x.Frames))

	var pi pcmInfo
	dec("sizeof(snd_pcm_info)", unsafe.Sizeof(pi))
	dec("snd_pcm_info.subdevice", unsafe.Offsetof(pi.Subdevice))
	dec("snd_pcm_info.stream", unsafe.Offsetof(pi.Stream))
	dec("snd_pcm_info.card", unsafe.Offsetof(pi.Card))
	dec("snd_pcm_info.id", unsafe.Offsetof(pi.ID))
	dec("snd_pcm_info.name", unsafe.Offsetof(pi.Name))
	dec("snd_pcm_info.subname", unsafe.Offsetof(pi.Subname))
	dec("snd_pcm_info.dev_class", unsafe.Offsetof(pi.Class))
	dec("snd_pcm_info.subdevices_count", unsafe.Offsetof(pi.SubdevicesCount))
	dec("snd_pcm_info.subdevices_avail", unsafe.Offsetof(pi.SubdevicesAvail))
	var ci cardInfo
	dec("sizeof(snd_ctl_card_info)", unsafe.Sizeof(ci))
	dec("snd_ctl_card_info.id", unsafe.Offsetof(ci.ID))
	dec("snd_ctl_card_info.driver", unsafe.Offsetof(ci.Driver))
	dec("snd_ctl_card_info.name", unsafe.Offsetof(ci.Name))
	dec("snd_ctl_card_info.longname", unsafe.Offsetof(ci.Longname))
	dec("snd_ctl_card_info.mixername", unsafe.Offsetof(ci.Mixername))
	dec("snd_ctl_card_info.components", unsafe.Offsetof(ci.Components))

	var id elemID
	dec("sizeof(snd_ctl_elem_id)", unsafe.Sizeof(id))
	dec("snd_ctl_elem_id.iface", unsafe.Offsetof(id.Iface))
	dec("snd_ctl_elem_id.device", unsafe.Offsetof(id.Device))
	dec("snd_ctl_elem_id.subdevice", unsafe.Offsetof(id.Subdevice))
	dec("snd_ctl_elem_id.name", unsafe.Offsetof(id.Name))
	dec("snd_ctl_elem_id.index", unsafe.Offsetof(id.Index))
	var el elemList
	dec("sizeof(snd_ctl_elem_list)", unsafe.Sizeof(el))
	dec("snd_ctl_elem_list.offset", unsafe.Offsetof(el.Offset))
	dec("snd_ctl_elem_list.space", unsafe.Offsetof(el.Space))
	dec("snd_ctl_elem_list.used", unsafe.Offsetof(el.Used))
	dec("snd_ctl_elem_list.count", unsafe.Offsetof(el.Count))
	dec("snd_ctl_elem_list.pids", unsafe.Offsetof(el.IDs))
	var ei elemInfo
	dec("sizeof(snd_ctl_elem_info)", unsafe.Sizeof(ei))
	dec("snd_ctl_elem_info.type", unsafe.Offsetof(ei.Type))
	dec("snd_ctl_elem_info.access", unsafe.Offsetof(ei.Access))
	dec("snd_ctl_elem_info.count", unsafe.Offsetof(ei.Count))
	dec("snd_ctl_elem_info.owner", unsafe.Offsetof(ei.Owner))
	dec("snd_ctl_elem_info.value", unsafe.Offsetof(ei.Value))
	var ev elemValue
	dec("sizeof(snd_ctl_elem_value)", unsafe.Sizeof(ev))
	dec("snd_ctl_elem_value.value", unsafe.Offsetof(ev.Value))
	var e ctlEvent
	dec("sizeof(snd_ctl_event)", unsafe.Sizeof(e))
	dec("snd_ctl_event.data.elem.mask", unsafe.Offsetof(e.Mask))
	dec("snd_ctl_event.data.elem.id", unsafe.Offsetof(e.ID))
	dec("snd_ctl_tlv.length", unsafe.Offsetof(tlv{}.Length))
	dec("snd_ctl_tlv.tlv", unsafe.Offsetof(tlv{}.Data))

	for name, v := range map[string]request{
		"PCM_IOCTL_PVERSION": pcmPVersion, "PCM_IOCTL_USER_PVERSION": pcmUserPVersion,
		"PCM_IOCTL_HW_REFINE": pcmHwRefine, "PCM_IOCTL_HW_PARAMS": pcmHwParams, "PCM_IOCTL_SW_PARAMS": pcmSwParams,
		"PCM_IOCTL_STATUS": pcmStatusGet, "PCM_IOCTL_SYNC_PTR": pcmSyncPtr, "PCM_IOCTL_PREPARE": pcmPrepare,
		"PCM_IOCTL_START": pcmStart, "PCM_IOCTL_DROP": pcmDrop, "PCM_IOCTL_RESUME": pcmResume,
		"PCM_IOCTL_WRITEI_FRAMES": pcmWriteI, "PCM_IOCTL_READI_FRAMES": pcmReadI,
		"CTL_IOCTL_CARD_INFO": ctlCardInfo, "CTL_IOCTL_ELEM_LIST": ctlElemList, "CTL_IOCTL_ELEM_INFO": ctlElemInfo,
		"CTL_IOCTL_ELEM_READ": ctlElemRead, "CTL_IOCTL_ELEM_WRITE": ctlElemWrite,
		"CTL_IOCTL_SUBSCRIBE_EVENTS": ctlSubscribe, "CTL_IOCTL_ELEM_ADD": ctlElemAdd,
		"CTL_IOCTL_ELEM_UNLOCK": ctlElemUnlock, "CTL_IOCTL_TLV_READ": ctlTLVRead, "CTL_IOCTL_TLV_WRITE": ctlTLVWrite,
		"CTL_IOCTL_PCM_NEXT_DEVICE": ctlPCMNext, "CTL_IOCTL_PCM_INFO": ctlPCMInfo,
		"PCM_FORMAT_S16_LE": request(S16), "PCM_FORMAT_S24_LE": request(S24), "PCM_FORMAT_S32_LE": request(S32),
		"PCM_FORMAT_FLOAT_LE": request(Float), "PCM_FORMAT_IEC958_SUBFRAME_LE": request(IEC958),
		"PCM_FORMAT_S24_3LE": request(S24Packed), "PCM_ACCESS_MMAP_INTERLEAVED": accessMmapInterleaved,
		"PCM_ACCESS_RW_INTERLEAVED": accessRWInterleaved, "PCM_HW_PARAM_CHANNELS": paramChannels + 8,
		"PCM_HW_PARAM_RATE": paramRate + 8, "PCM_HW_PARAM_PERIOD_SIZE": paramPeriodSize + 8,
		"PCM_HW_PARAM_PERIODS": paramPeriods + 8, "PCM_HW_PARAM_BUFFER_SIZE": paramBufferSize + 8,
		"PCM_STATE_OPEN": request(StateOpen), "PCM_STATE_SETUP": request(StateSetup),
		"PCM_STATE_PREPARED": request(StatePrepared), "PCM_STATE_RUNNING": request(StateRunning),
		"PCM_STATE_XRUN": request(StateXrun), "PCM_STATE_DRAINING": request(StateDraining),
		"PCM_STATE_PAUSED": request(StatePaused), "PCM_STATE_SUSPENDED": request(StateSuspended),
		"PCM_STATE_DISCONNECTED": request(StateDisconnected), "PCM_INFO_BATCH": infoBatch,
		"PCM_TSTAMP_ENABLE": tstampEnable, "PCM_TSTAMP_TYPE_MONOTONIC": tstampMonotonic,
		"PCM_SYNC_PTR_HWSYNC": syncHwsync, "PCM_SYNC_PTR_APPL": syncAppl, "PCM_SYNC_PTR_AVAIL_MIN": syncAvailMin,
		"CTL_ELEM_TYPE_BOOLEAN": elemBoolean, "CTL_ELEM_TYPE_INTEGER": elemInteger, "CTL_ELEM_TYPE_BYTES": elemBytes,
		"CTL_ELEM_IFACE_CARD": ifaceCard, "CTL_ELEM_IFACE_MIXER": ifaceMixer, "CTL_ELEM_IFACE_PCM": ifacePCM,
		"CTL_ELEM_ACCESS_TLV_READ": accessTLVRead, "CTL_ELEM_ACCESS_TLV_READWRITE": accessTLVReadWrite,
		"CTL_ELEM_ACCESS_READWRITE": accessReadWrite,
	} {
		num("SNDRV_"+name, uintptr(v))
	}
	return m
}

// columns are the ABIs of testdata/uapi.golden; goarch is whose machine has it,
// "" for none of Go's.
var columns = []struct {
	name, arch, goarch string
	flags              []string
}{
	{"amd64", "amd64", "amd64", nil},
	{"arm64", "arm64", "arm64", nil},
	{"arm", "arm", "", nil},
	{"arm-time64", "arm", "arm", headers.Time64},
}

// golden reads one column of the table.
func golden(t *testing.T, column string) map[string]string {
	t.Helper()
	f, err := os.Open("testdata/uapi.golden")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	col, m := -1, map[string]string{}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		w := strings.Fields(strings.TrimPrefix(sc.Text(), "# "))
		if col < 0 {
			for i, name := range w {
				if name == column {
					col = i
				}
			}
			if col < 0 {
				t.Fatalf("testdata/uapi.golden has no column %s", column)
			}
			continue
		}
		if len(w) != len(columns)+1 {
			t.Fatalf("testdata/uapi.golden: %q has %d words", sc.Text(), len(w))
		}
		m[w[0]] = w[col]
	}
	return m
}

func compare(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, w := range want {
		if g := got[name]; g != w {
			t.Errorf("%s is %s, want %s", name, g, w)
		}
	}
}

// The Go structs against the table, for the machine the test runs on. Run it
// with GOARCH=arm64 or arm and -exec qemu-...-static for the others.
func TestLayout(t *testing.T) {
	for _, c := range columns {
		if c.goarch == runtime.GOARCH {
			got, want := layout(), golden(t, c.name)
			for _, structTag := range []string{"sizeof(snd_ctl_tlv)", "SNDRV_PCM_IOCTL_INFO"} {
				delete(want, structTag) // a flexible array; and a call that is made on the control device instead
			}
			compare(t, got, want)
			if len(got) != len(want) {
				t.Errorf("%d facts here, %d in the table", len(got), len(want))
			}
			return
		}
	}
	t.Fatalf("no column for %s", runtime.GOARCH)
}

// The table against the kernel's headers, for every compiler at hand.
func TestGolden(t *testing.T) {
	for _, c := range columns {
		t.Run(c.name, func(t *testing.T) {
			out := headers.Output(t, c.arch, c.flags...)
			got := map[string]string{}
			for _, l := range strings.Split(strings.TrimSpace(string(out)), "\n") {
				name, value, _ := strings.Cut(l, " ")
				got[name] = value
			}
			want := golden(t, c.name)
			compare(t, got, want)
			if len(got) != len(want) {
				t.Errorf("the program printed %d facts, the table has %d", len(got), len(want))
			}
		})
	}
}

// The Go structs for the other machines.
func TestLayoutElsewhere(t *testing.T) { headers.Elsewhere(t, "TestLayout") }
