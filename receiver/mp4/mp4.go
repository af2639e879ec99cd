// Package mp4 writes ISO base media files (ISO/IEC 14496-12) for two uses: a
// live stream for a browser's Media Source Extensions (Live) and a recording
// on a disk that may lose its power at any moment (Recorder).
//
// It takes access units of H.264 or HEVC and frames of AAC as they come, with
// the decoder configuration that describes them, and knows nothing of where
// they come from or who is to see them: encryption, clocks and the web page
// are left to others. It parses no media beyond the parameter sets, which
// packages h264 and hevc read for it.
//
// Proof: live_test.go and record_test.go compare what ffmpeg reads and decodes
// with what was sent, time by time and picture by picture; crash_test.go
// plays a recording as it was after every write, torn writes, power cuts and
// full disks; queue_test.go hangs the disk; table_test.go measures the tables
// and writes a file beyond 4 GB; chromium_test.go plays streams and files in
// headless Chromium, and shows what happens without the rules for time that
// live.go states; fuzz_test.go feeds descriptions and sessions at random.
package mp4
