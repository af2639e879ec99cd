package hevc

import "aerie/receiver/codec/h264"

// ScalingLists are the weights of transform coefficients (ITU-T H.265 section
// 7.3.4), by matrixId: intra Y, Cb, Cr, then inter Y, Cb, Cr. The weights
// stand in raster order, row by row, not in the order of the stream. Those of
// 16x16 and 32x32 blocks are lists of 8x8 that are spread over the block,
// with the weight of the first coefficient apart.
type ScalingLists struct {
	Size4  [6][16]uint8
	Size8  [6][64]uint8
	Size16 [6][64]uint8
	Size32 [2][64]uint8 // intra and inter Y
	DC16   [6]uint8
	DC32   [2]uint8
}

// DefaultScalingLists hold where a sequence parameter set enables scaling
// lists and no set gives any (tables 7-5 and 7-6).
var DefaultScalingLists = defaultScalingLists()

// defaultIntra and defaultInter are table 7-6, in raster order. Both are
// symmetric.
var defaultIntra = [64]uint8{
	16, 16, 16, 16, 17, 18, 21, 24,
	16, 16, 16, 16, 17, 19, 22, 25,
	16, 16, 17, 18, 20, 22, 25, 29,
	16, 16, 18, 21, 24, 27, 31, 36,
	17, 17, 20, 24, 30, 35, 41, 47,
	18, 19, 22, 27, 35, 44, 54, 65,
	21, 22, 25, 31, 41, 54, 70, 88,
	24, 25, 29, 36, 47, 65, 88, 115,
}

var defaultInter = [64]uint8{
	16, 16, 16, 16, 17, 18, 20, 24,
	16, 16, 16, 17, 18, 20, 24, 25,
	16, 16, 17, 18, 20, 24, 25, 28,
	16, 17, 18, 20, 24, 25, 28, 33,
	17, 18, 20, 24, 25, 28, 33, 41,
	18, 20, 24, 25, 28, 33, 41, 54,
	20, 24, 25, 28, 33, 41, 54, 71,
	24, 25, 28, 33, 41, 54, 71, 91,
}

func defaultScalingLists() *ScalingLists {
	l := new(ScalingLists)
	for sizeID := range 4 {
		for i := range l.count(sizeID) {
			l.setDefault(sizeID, i)
		}
	}
	return l
}

// diagonal4 and diagonal8 map the order of the stream, the up-right diagonal
// scan (section 6.5.3), to raster order.
var (
	diagonal4 = diagonal(4)
	diagonal8 = diagonal(8)
)

func diagonal(side int) (order []uint8) {
	for d := range 2*side - 1 {
		for y := min(d, side-1); y >= 0 && d-y < side; y-- {
			order = append(order, uint8(y*side+d-y))
		}
	}
	return order
}

// count returns how many lists a size has: in 4:2:0, chroma has none for
// blocks of 32x32.
func (l *ScalingLists) count(sizeID int) int {
	if sizeID == 3 {
		return len(l.Size32)
	}
	return len(l.Size4)
}

// list returns the weights of a size; i counts its lists.
func (l *ScalingLists) list(sizeID, i int) []uint8 {
	switch sizeID {
	case 0:
		return l.Size4[i][:]
	case 1:
		return l.Size8[i][:]
	case 2:
		return l.Size16[i][:]
	}
	return l.Size32[i][:]
}

// dc returns the weight of the first coefficient, nil where it is not apart.
func (l *ScalingLists) dc(sizeID, i int) *uint8 {
	switch sizeID {
	case 2:
		return &l.DC16[i]
	case 3:
		return &l.DC32[i]
	}
	return nil
}

func (l *ScalingLists) setDefault(sizeID, i int) {
	list, inter := l.list(sizeID, i), i >= l.count(sizeID)/2
	switch {
	case sizeID == 0:
		for j := range list {
			list[j] = 16
		}
	case inter:
		copy(list, defaultInter[:])
	default:
		copy(list, defaultIntra[:])
	}
	if dc := l.dc(sizeID, i); dc != nil {
		*dc = 16
	}
}

// parse reads scaling_list_data.
func (l *ScalingLists) parse(r *h264.BitReader) {
	for sizeID := range 4 {
		for i := range l.count(sizeID) {
			if r.Flag() {
				l.parseList(r, sizeID, i)
				continue
			}
			switch back := int(r.UEMax("scaling_list_pred_matrix_id_delta", uint32(i))); {
			case back == 0:
				l.setDefault(sizeID, i)
			default:
				copy(l.list(sizeID, i), l.list(sizeID, i-back))
				if dc := l.dc(sizeID, i); dc != nil {
					*dc = *l.dc(sizeID, i-back)
				}
			}
		}
	}
}

// parseList reads a list that is told weight by weight, each as the distance
// from the one before.
func (l *ScalingLists) parseList(r *h264.BitReader, sizeID, i int) {
	order := diagonal8
	if sizeID == 0 {
		order = diagonal4
	}
	last := int32(8)
	if dc := l.dc(sizeID, i); dc != nil {
		last += r.SERange("scaling_list_dc_coef_minus8", -7, 247)
		*dc = uint8(last)
	}
	list := l.list(sizeID, i)
	for _, at := range order {
		last = (last + r.SERange("scaling_list_delta_coef", -128, 127)) & 0xff
		list[at] = uint8(last)
	}
}
