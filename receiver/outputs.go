package receiver

import (
	"errors"
	"fmt"

	"aerie/drm"
	"aerie/hw/alsa"
	"aerie/receiver/config"
)

// openOutputs decides where picture and sound go, once and for all.
func (r *Receiver) openOutputs(measure bool) error {
	v, err := config.ParseVideo(r.cfg.Video.Output)
	if err != nil {
		return err
	}
	if r.video, err = r.openVideo(v, measure); err != nil {
		return fmt.Errorf("video output %v: %w", v, err)
	}
	r.defer_(func() { r.video.close() })
	a, err := config.ParseAudio(r.cfg.Audio.Output)
	if err != nil {
		return err
	}
	if r.audio, err = r.openAudio(a); err != nil {
		return fmt.Errorf("audio output %v: %w", a, err)
	}
	r.defer_(func() { r.audio.close() })
	r.page, _ = r.video.(*pageOutput)
	_, shows := r.video.(*kmsOutput)
	if measure && !shows {
		r.video = measuring{r.video}
	}
	r.machine.decodes = shows || measure
	return nil
}

const asked = "as asked for"

func (r *Receiver) openVideo(o config.Output, measure bool) (videoOutput, error) {
	switch o.Kind {
	case "kms":
		return newKMSOutput(r, measure, asked)
	case "browser":
		return newPageOutput(r, asked), nil
	case "file":
		return newRecording(o.Path, asked)
	case "raw":
		return newRawFile(o.Path, asked)
	case "none":
		return nowhere{asked}, nil
	}
	// auto: a display that nobody else controls, else the browser.
	kms, err := newKMSOutput(r, measure, "a free display was found")
	switch {
	case err == nil:
		return kms, nil
	case errors.Is(err, drm.ErrBusy):
		return newPageOutput(r, "the display belongs to a desktop"), nil
	case errors.Is(err, drm.ErrNoCard):
		return newPageOutput(r, "no display that can be driven directly"), nil
	}
	return newPageOutput(r, fmt.Sprintf("the display cannot be used: %v", err)), nil
}

func (r *Receiver) openAudio(o config.Output) (audioOutput, error) {
	switch o.Kind {
	case "alsa":
		return &alsaSound{device: o.Path, why: asked, gate: &r.gate}, nil
	case "file":
		return newWAVFile(o.Path, asked)
	case "none":
		return noSound{asked}, nil
	}
	switch v := r.video.(type) {
	case *pageOutput:
		return pageSound{v, "the picture goes to the page"}, nil
	case *recording:
		return recordingSound{v, "the picture goes to a file"}, nil
	case *rawFile:
		return noSound{"the picture is written as it is"}, nil
	}
	if d, err := alsa.Find("auto"); err == nil {
		return &alsaSound{device: "auto", why: "the best device there is: " + d.String(), gate: &r.gate}, nil
	}
	return noSound{"no sound device was found"}, nil
}
