//go:build amd64 || arm64

package alsa

type (
	uframes = uint64
	sframes = int64
)

// mmapControl is struct snd_pcm_mmap_control.
type mmapControl struct{ ApplPtr, AvailMin uframes }
