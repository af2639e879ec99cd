package hevc

import (
	"fmt"
	"testing"
)

// Table 7-6 in the order of the standard, that of the up-right diagonal scan.
var table76 = [2][64]uint8{
	{16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 17, 16, 17, 16, 17, 18, 17, 18, 18, 17, 18, 21, 19, 20, 21, 20, 19, 21, 24, 22, 22, 24,
		24, 22, 22, 24, 25, 25, 27, 30, 27, 25, 25, 29, 31, 35, 35, 31, 29, 36, 41, 44, 41, 36, 47, 54, 54, 47, 65, 70, 65, 88, 88, 115},
	{16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 17, 17, 17, 17, 17, 18, 18, 18, 18, 18, 18, 20, 20, 20, 20, 20, 20, 20, 24, 24, 24, 24,
		24, 24, 24, 24, 25, 25, 25, 25, 25, 25, 25, 28, 28, 28, 28, 28, 28, 33, 33, 33, 33, 33, 41, 41, 41, 41, 54, 54, 54, 71, 71, 91},
}

func TestDefaultScalingLists(t *testing.T) {
	l := DefaultScalingLists
	for i, at := range diagonal8 {
		for m := range l.Size8 {
			want := table76[m/3][i]
			if l.Size8[m][at] != want || l.Size16[m][at] != want || l.Size32[m/3][at] != want {
				t.Errorf("matrix %d, position %d: %d, %d, %d, want %d", m, i, l.Size8[m][at], l.Size16[m][at], l.Size32[m/3][at], want)
			}
		}
	}
	for m := range l.Size4 {
		for _, v := range l.Size4[m] {
			if v != 16 || l.DC16[m] != 16 || l.DC32[m/3] != 16 {
				t.Errorf("matrix %d: %d, %d, %d", m, v, l.DC16[m], l.DC32[m/3])
			}
		}
	}
	if want := "[0 4 1 8 5 2 12 9 6 3 13 10 7 14 11 15]"; fmt.Sprint(diagonal4) != want {
		t.Errorf("scan %v, want %s", diagonal4, want)
	}
}

// The lists of generated sets are what the generator's elements add up to,
// matrix by matrix as the standard counts them: by threes for 32x32.
func TestScalingListsGenerated(t *testing.T) {
	lists := 0
	for seed := range uint64(100) {
		nal, elements := generateSPS(seed)
		s, err := ParseSPS(nal)
		if err != nil || s.Scaling == nil {
			continue
		}
		lists++
		value := map[string]int64{}
		for _, e := range elements {
			value[e.name] = e.value
		}
		for size, step := range []int{1, 1, 1, 3} {
			scan := diagonal8
			if size == 0 {
				scan = diagonal4
			}
			for m := 0; m < 6; m += step {
				want, dc := wantList(value, size, m, step)
				got := s.Scaling.list(size, m/step)
				for i, at := range scan {
					if int64(got[at]) != want[i] {
						t.Fatalf("set %d, size %d, matrix %d: weight %d is %d, want %d", seed, size, m, i, got[at], want[i])
					}
				}
				if p := s.Scaling.dc(size, m/step); p != nil && int64(*p) != dc {
					t.Fatalf("set %d, size %d, matrix %d: first weight %d, want %d", seed, size, m, *p, dc)
				}
			}
		}
	}
	if lists < 10 {
		t.Errorf("only %d sets with lists", lists)
	}
}

func wantList(value map[string]int64, size, m, step int) (list []int64, dc int64) {
	n := min(64, 1<<(4+2*size))
	if value[fmt.Sprintf("scaling_list_pred_mode_flag[%d][%d]", size, m)] == 1 {
		last := int64(8)
		if size > 1 {
			dc = 8 + value[fmt.Sprintf("scaling_list_dc_coef_minus8[%d][%d]", size-2, m)]
			last = dc
		}
		for i := range n {
			last = (last + value[fmt.Sprintf("scaling_list_delta_coeff[%d][%d][%d]", size, m, i)] + 256) % 256
			list = append(list, last)
		}
		return list, dc
	}
	if back := int(value[fmt.Sprintf("scaling_list_pred_matrix_id_delta[%d][%d]", size, m)]); back > 0 {
		return wantList(value, size, m-back*step, step)
	}
	for i := range n {
		if size == 0 {
			list = append(list, 16)
		} else {
			list = append(list, int64(table76[m/3][i]))
		}
	}
	return list, 16
}
