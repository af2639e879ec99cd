package codec

import (
	"fmt"
	"strings"
	"testing"
)

// The built-in clip is decoded right on every threading model, and a picture
// that is not is noticed.
func TestSelfTest(t *testing.T) {
	for _, o := range threadings {
		t.Run(fmt.Sprint(o), func(t *testing.T) {
			if n, err := SelfTest(o); err != nil || n != 30 {
				t.Errorf("%d pictures, %v", n, err)
			}
		})
	}
	right := sampleSums
	defer func() { sampleSums = right }()
	sampleSums = strings.Replace(right, "7ead18e0", "7ead18e1", 1)
	if n, err := SelfTest(VideoOptions{}); err == nil || !strings.Contains(err.Error(), "picture 2 of the built-in clip") {
		t.Errorf("a wrong picture passes: %d, %v", n, err)
	}
}
