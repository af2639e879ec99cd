package intra

import "aerie/receiver/codec/h264"

// Scan orders of a 4×4 block (ITU-T H.264, figure 6-10 and table 8-2).
var (
	zigzag = [16]int{0, 1, 4, 8, 5, 2, 3, 6, 9, 12, 13, 10, 7, 11, 14, 15}
	// blockOrder lists the blocks of a macroblock, numbered in raster order,
	// as they are coded.
	blockOrder = [16]int{0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15}
)

// chromaDC stands for nC where a chroma plane's DC values are coded.
const chromaDC = -1

// writeResidual writes residual_block_cavlc (section 7.3.5.3.2): coefficients
// in scan order, of which at most len(levels) can differ from zero. It
// returns TotalCoeff.
func writeResidual(w *h264.BitWriter, levels []int32, nC int) uint8 {
	var nonzero [16]int32 // in reverse scan order
	var runs [16]int      // zeros before each
	total, run, zeros := 0, 0, 0
	for _, level := range levels {
		if level == 0 {
			run++
			continue
		}
		// Filled from the end, so that reverse order comes out.
		total++
		nonzero[16-total], runs[16-total] = level, run
		zeros += run
		run = 0
	}
	reversed := nonzero[16-total:]
	ones := 0
	for ones < min(total, 3) && (reversed[ones] == 1 || reversed[ones] == -1) {
		ones++
	}
	put(w, token(nC, total, ones))
	if total == 0 {
		return 0
	}
	for _, level := range reversed[:ones] {
		w.Flag(level < 0)
	}
	writeLevels(w, reversed[ones:], total, ones)
	if total < len(levels) {
		if nC == chromaDC {
			put(w, chromaDCZeros[total-1][zeros])
		} else {
			put(w, totalZeros[total-1][zeros])
		}
	}
	for i := 0; i < total-1 && zeros > 0; i++ {
		run := runs[16-total+i]
		put(w, runBefore[min(zeros, 7)-1][run])
		zeros -= run
	}
	return uint8(total)
}

func put(w *h264.BitWriter, v vlc) { w.U(int(v>>8), uint32(v&0xff)) }

func token(nC, total, ones int) vlc {
	switch {
	case nC == chromaDC:
		return chromaDCToken[total][ones]
	case nC < 2:
		return coeffToken[0][total][ones]
	case nC < 4:
		return coeffToken[1][total][ones]
	case nC < 8:
		return coeffToken[2][total][ones]
	}
	return coeffToken[3][total][ones]
}

// writeLevels writes level_prefix and level_suffix of the levels that are not
// trailing ones (section 9.2.2.1).
func writeLevels(w *h264.BitWriter, levels []int32, total, ones int) {
	suffixLength := 0
	if total > 10 && ones < 3 {
		suffixLength = 1
	}
	for i, level := range levels {
		code := 2*level - 2
		magnitude := level
		if level < 0 {
			code = -2*level - 1
			magnitude = -level
		}
		if i == 0 && ones < 3 {
			code -= 2 // it cannot be one
		}
		writeLevel(w, uint32(code), suffixLength)
		if suffixLength == 0 {
			suffixLength = 1
		}
		if magnitude > 3<<(suffixLength-1) && suffixLength < 6 {
			suffixLength++
		}
	}
}

// writeLevel writes a levelCode. Codes above 4125, which need a longer
// prefix, do not occur at the quantisers in use.
func writeLevel(w *h264.BitWriter, code uint32, suffixLength int) {
	switch {
	case suffixLength == 0 && code < 14:
		w.U(int(code)+1, 1)
	case suffixLength == 0 && code < 30:
		w.U(15, 1)
		w.U(4, code-14)
	case suffixLength == 0:
		w.U(16, 1)
		w.U(12, code-30)
	case code < 15<<suffixLength:
		w.U(int(code>>suffixLength)+1, 1)
		w.U(suffixLength, code&(1<<suffixLength-1))
	default:
		w.U(16, 1)
		w.U(12, code-15<<suffixLength)
	}
}
