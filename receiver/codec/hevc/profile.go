package hevc

import "aerie/receiver/codec/h264"

// ProfileTierLevel is the general part of profile_tier_level (ITU-T H.265
// section 7.3.3), as the SPS and the hvcC record have it.
type ProfileTierLevel struct {
	Space         uint8  // general_profile_space, 0 to 3
	HighTier      bool   // general_tier_flag
	Profile       uint8  // general_profile_idc: 1 Main, 2 Main 10, 3 Main Still, 4 range extensions
	Compatibility uint32 // general_profile_compatibility_flag, flag 0 in the highest bit
	Constraints   uint64 // the 48 bits from general_progressive_source_flag on
	Level         uint8  // general_level_idc: thirty times the level
}

func readProfile(r *h264.BitReader) (p ProfileTierLevel) {
	p.Space = uint8(r.U(2))
	p.HighTier = r.Flag()
	p.Profile = uint8(r.U(5))
	p.Compatibility = r.U(32)
	p.Constraints = uint64(r.U(16)) << 32
	p.Constraints |= uint64(r.U(32))
	p.Level = uint8(r.U(8))
	return p
}

// readProfileTierLevel also passes over the sub-layers below the highest.
func readProfileTierLevel(r *h264.BitReader, subLayers int) ProfileTierLevel {
	p := readProfile(r)
	var profiles, levels int
	for range subLayers - 1 {
		profiles += int(r.U(1))
		levels += int(r.U(1))
	}
	if subLayers > 1 {
		r.Skip(2 * (8 - (subLayers - 1))) // reserved_zero_2bits
	}
	r.Skip(profiles*88 + levels*8)
	return p
}
