package main

import (
	"fmt"
	"os"

	"aerie/receiver/codec"
)

func main() {
	d, err := codec.NewVideoDecoder(codec.H264, codec.VideoOptions{})
	fmt.Println(d != nil, err)
	h, err := codec.NewVideoDecoder(codec.HEVC, codec.VideoOptions{})
	fmt.Println(h != nil, err)
	e, err := codec.NewAudioEncoder(48000, 128000)
	fmt.Println(e.Delay(), err)
	a, err := codec.NewAudioDecoder(codec.AudioParameters{Codec: codec.AAC, Rate: 44100, Channels: 2, FrameLength: 480, Config: []byte{0xf8, 0xe8, 0x50, 0}})
	fmt.Println(a != nil, err)
	p, _ := codec.NewInputPool(2, 1<<20)
	in, _ := p.Lease(100)
	f, _ := codec.NewFrame()
	fmt.Println(d.Send(in, in.Bytes(), 0), d.Receive(f))
	var c codec.Converter
	fmt.Println(c.Convert(codec.NewImage(codec.NV12, 16, 16, 1), f))
	b, _ := os.ReadFile("/proc/self/status")
	fmt.Println(string(b)[:0])
}
