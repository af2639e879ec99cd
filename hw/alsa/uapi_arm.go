package alsa

type (
	uframes = uint32
	sframes = int32
)

// mmapControl is struct snd_pcm_mmap_control. The header has AvailMin at 4,
// where a 64-bit kernel's native struct has it at 8; the kernel knows, and the
// package never sets it this way.
type mmapControl struct {
	ApplPtr, AvailMin uframes
	_                 [4]byte
}
