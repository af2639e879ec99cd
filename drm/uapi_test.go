package drm

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"aerie/hw/lab/headers"
)

// structs are the kernel's structures under the kernel's names, with the
// number of fields that the C header has and this package leaves out.
var structs = map[string]reflect.Type{
	"drm_version":                 reflect.TypeFor[version](),
	"drm_get_cap":                 reflect.TypeFor[getCap](),
	"drm_set_client_cap":          reflect.TypeFor[setClientCap](),
	"drm_gem_close":               reflect.TypeFor[gemClose](),
	"drm_prime_handle":            reflect.TypeFor[primeHandle](),
	"drm_mode_card_res":           reflect.TypeFor[cardRes](),
	"drm_mode_modeinfo":           reflect.TypeFor[modeInfo](),
	"drm_mode_get_encoder":        reflect.TypeFor[getEncoder](),
	"drm_mode_get_connector":      reflect.TypeFor[getConnector](),
	"drm_mode_get_plane_res":      reflect.TypeFor[getPlaneRes](),
	"drm_mode_get_plane":          reflect.TypeFor[getPlane](),
	"drm_mode_obj_get_properties": reflect.TypeFor[objGetProperties](),
	"drm_mode_get_property":       reflect.TypeFor[getProperty](),
	"drm_mode_property_enum":      reflect.TypeFor[propertyEnum](),
	"drm_mode_get_blob":           reflect.TypeFor[getBlob](),
	"drm_mode_create_blob":        reflect.TypeFor[createBlob](),
	"drm_mode_destroy_blob":       reflect.TypeFor[destroyBlob](),
	"drm_mode_atomic":             reflect.TypeFor[atomic](),
	"drm_mode_create_dumb":        reflect.TypeFor[createDumb](),
	"drm_mode_map_dumb":           reflect.TypeFor[mapDumb](),
	"drm_mode_destroy_dumb":       reflect.TypeFor[destroyDumb](),
	"drm_mode_fb_cmd2":            reflect.TypeFor[fbCmd2](),
	"drm_crtc_get_sequence":       reflect.TypeFor[crtcGetSequence](),
	"drm_event_vblank":            reflect.TypeFor[eventVBlank](),
	"drm_format_modifier_blob":    reflect.TypeFor[formatModifierBlob](),
	"drm_format_modifier":         reflect.TypeFor[formatModifier](),
}

var calls = []call{
	callVersion, callGemClose, callGetCap, callSetClientCap, callSetMaster, callDropMaster, callPrimeFDToHandle,
	callCRTCGetSequence, callGetResources, callGetEncoder, callGetConnector, callGetProperty, callGetPropBlob, callRmFB,
	callCreateDumb, callMapDumb, callDestroyDumb, callGetPlaneRes, callGetPlane, callAddFB2, callObjGetProperties,
	callAtomic, callCreatePropBlob, callDestroyPropBlob,
}

var constants = map[string]uint64{
	"DRM_CAP_DUMB_BUFFER": capDumbBuffer, "DRM_CAP_PRIME": capPrime, "DRM_CAP_ADDFB2_MODIFIERS": capAddFB2Modifiers,
	"DRM_PRIME_CAP_IMPORT":                             primeCapImport,
	"DRM_CLIENT_CAP_UNIVERSAL_PLANES":                  clientUniversal,
	"DRM_CLIENT_CAP_ATOMIC":                            clientAtomic,
	"DRM_CLIENT_CAP_WRITEBACK_CONNECTORS":              clientWriteback,
	"DRM_MODE_PAGE_FLIP_EVENT":                         atomicPageFlipEvent,
	"DRM_MODE_ATOMIC_TEST_ONLY":                        atomicTestOnly,
	"DRM_MODE_ATOMIC_NONBLOCK":                         atomicNonblock,
	"DRM_MODE_ATOMIC_ALLOW_MODESET":                    atomicAllowModeset,
	"DRM_MODE_OBJECT_CRTC":                             objectCRTC,
	"DRM_MODE_OBJECT_CONNECTOR":                        objectConnector,
	"DRM_MODE_OBJECT_PLANE":                            objectPlane,
	"DRM_MODE_FB_MODIFIERS":                            fbModifiers,
	"DRM_EVENT_FLIP_COMPLETE":                          eventFlipComplete,
	"DRM_MODE_CONNECTOR_WRITEBACK":                     connectorWriteback,
	"DRM_MODE_TYPE_PREFERRED":                          modeTypePreferred,
	"DRM_MODE_FLAG_INTERLACE":                          modeFlagInterlace,
	"DRM_MODE_FLAG_DBLSCAN":                            modeFlagDblScan,
	"DRM_MODE_PROP_IMMUTABLE":                          propImmutable,
	"DRM_MODE_PROP_ENUM":                               propEnum,
	"DRM_MODE_PROP_BLOB":                               propBlob,
	"DRM_MODE_PROP_BITMASK":                            propBitmask,
	"DRM_MODE_LINK_STATUS_BAD":                         linkStatusBad,
	"DRM_MODE_ROTATE_0":                                uint64(Upright),
	"DRM_MODE_ROTATE_180":                              uint64(UpsideDown),
	"DRM_MODE_REFLECT_X":                               uint64(MirrorX &^ Upright),
	"DRM_MODE_REFLECT_Y":                               uint64(MirrorY &^ Upright),
	"DRM_FORMAT_XRGB8888":                              uint64(XRGB8888),
	"DRM_FORMAT_ARGB8888":                              uint64(ARGB8888),
	"DRM_FORMAT_XBGR8888":                              uint64(XBGR8888),
	"DRM_FORMAT_ABGR8888":                              uint64(ABGR8888),
	"DRM_FORMAT_RGB565":                                uint64(RGB565),
	"DRM_FORMAT_NV12":                                  uint64(NV12),
	"DRM_FORMAT_NV21":                                  uint64(NV21),
	"DRM_FORMAT_YUV420":                                uint64(YUV420),
	"DRM_FORMAT_YVU420":                                uint64(YVU420),
	"DRM_FORMAT_P030":                                  uint64(P030),
	"DRM_FORMAT_MOD_LINEAR":                            uint64(Linear),
	"DRM_FORMAT_MOD_INVALID":                           uint64(Implicit),
	"DRM_FORMAT_MOD_BROADCOM_VC4_T_TILED":              uint64(VC4TTiled),
	"DRM_FORMAT_MOD_BROADCOM_SAND128":                  uint64(SAND128(0)),
	"DRM_FORMAT_MOD_BROADCOM_SAND128_COL_HEIGHT(1632)": uint64(SAND128(1632)),
}

// flat writes a Go name as its C original would be without underscores.
func flat(name string) string {
	name = strings.ToLower(strings.ReplaceAll(name, "_", ""))
	return strings.TrimPrefix(name, "base.")
}

// TestUAPI compares every structure, ioctl number and constant with the golden
// text for this architecture.
func TestUAPI(t *testing.T) {
	golden, err := os.ReadFile(filepath.Join("testdata", "uapi-"+runtime.GOARCH+".txt"))
	if err != nil {
		t.Skipf("no golden text for this architecture: %v", err)
	}
	compareUAPI(t, golden)
}

// TestUAPISame says what the comparison on one architecture proves for others.
func TestUAPISame(t *testing.T) {
	read := func(arch string) []byte {
		b, err := os.ReadFile(filepath.Join("testdata", "uapi-"+arch+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if !bytes.Equal(read("amd64"), read("arm64")) {
		t.Error("amd64 and arm64 differ")
	}
	a, b := strings.Split(string(read("arm")), "\n"), strings.Split(string(read("arm64")), "\n")
	if len(a) != len(b) {
		t.Fatalf("arm has %d lines, arm64 %d", len(a), len(b))
	}
	in := ""
	for i := range a {
		if !strings.HasPrefix(a[i], "\t") {
			in = a[i]
		}
		if a[i] != b[i] && !strings.Contains(in, "drm_version") && !strings.Contains(in, "IOCTL_VERSION") {
			t.Errorf("arm %q, arm64 %q: only drm_version may differ", a[i], b[i])
		}
	}
}

func compareUAPI(t *testing.T, golden []byte) {
	seen, left := map[string]bool{}, []reflect.StructField(nil)
	var typ reflect.Type
	finish := func() {
		if typ != nil && len(left) > 0 {
			t.Errorf("%v has fields that C has not: %v", typ, left)
		}
	}
	for s := bufio.NewScanner(bytes.NewReader(golden)); s.Scan(); {
		var name string
		var a, b uint64
		if n, _ := fmt.Sscanf(s.Text(), "\t%s %d %d", &name, &a, &b); n == 3 {
			if len(left) == 0 {
				t.Errorf("%v has no field %s", typ, name)
				continue
			}
			f := left[0]
			left = left[1:]
			if got, want := flat(f.Name), flat(name); got != want && !(got == "typ" && want == "type") {
				t.Errorf("%v: field %s stands where C has %s", typ, f.Name, name)
			}
			if uint64(f.Offset) != a || uint64(f.Type.Size()) != b {
				t.Errorf("%v.%s: offset %d size %d, C has %d and %d", typ, f.Name, f.Offset, f.Type.Size(), a, b)
			}
		} else if n, _ := fmt.Sscanf(s.Text(), "struct %s %d", &name, &a); n == 2 {
			finish()
			typ, left = structs[name], nil
			if typ == nil {
				t.Fatalf("no Go type for struct %s", name)
			}
			for i := range typ.NumField() {
				if f := typ.Field(i); f.Name != "_" {
					left = append(left, f)
				}
			}
			if uint64(typ.Size()) != a {
				t.Errorf("%v: size %d, C has %d", typ, typ.Size(), a)
			}
			seen[name] = true
		} else if n, _ := fmt.Sscanf(s.Text(), "ioctl %s 0x%x", &name, &a); n == 2 {
			finish()
			typ, left = nil, nil
			for _, c := range calls {
				if c.name == name && uint64(c.number) != a {
					t.Errorf("%s: %#x, C has %#x", name, c.number, a)
				}
				seen[c.name] = seen[c.name] || c.name == name
			}
		} else if n, _ := fmt.Sscanf(s.Text(), "const %s 0x%x", &name, &a); n == 2 {
			if got, ok := constants[name]; !ok || got != a {
				t.Errorf("%s: %#x, C has %#x", name, got, a)
			}
			seen[name] = true
		} else {
			t.Errorf("not understood: %q", s.Text())
		}
	}
	for name := range structs {
		if !seen[name] {
			t.Errorf("struct %s is not in the golden text", name)
		}
	}
	for _, c := range calls {
		if !seen[c.name] {
			t.Errorf("ioctl %s is not in the golden text", c.name)
		}
	}
	for name := range constants {
		if !seen[name] {
			t.Errorf("constant %s is not in the golden text", name)
		}
	}
}

// TestUAPIGolden holds the golden texts against the kernel's headers.
func TestUAPIGolden(t *testing.T) { headers.Golden(t, headers.Each) }
