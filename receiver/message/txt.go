package message

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// KeyHex returns the public key as the TXT records have it.
func (c *Capabilities) KeyHex() string { return hex.EncodeToString(c.PublicKey[:]) }

// AirPlayTXT returns the records of _airplay._tcp (reference section 1.1).
func (c *Capabilities) AirPlayTXT() []string {
	txt := []string{
		"deviceid=" + c.DeviceID,
		"features=" + c.Features.String(),
		"pw=" + strconv.FormatBool(c.Password),
		"flags=" + c.Status.String(),
		"model=" + c.Model,
		"pk=" + c.KeyHex(),
		"pi=" + c.PairingID,
		"srcvers=" + c.Version,
		"vv=2",
	}
	if !c.homekit() {
		return txt
	}
	group := c.Group.ID
	if group == "" {
		group = c.PairingID
	}
	txt = append(txt,
		"acl=0",
		"gid="+group,
		"gcgl="+digit(c.Group.ContainsLeader),
		"igl="+digit(c.Group.Leader),
		"psi="+SystemIdentity(c.DeviceID),
		"fex="+c.Features.Ex(),
		"protovers="+protocolVersion,
		"manufacturer="+Manufacturer,
	)
	if c.Firmware != "" {
		txt = append(txt, "fv="+c.Firmware)
	}
	return txt
}

func digit(v bool) string {
	if v {
		return "1"
	}
	return "0"
}

// RAOPTXT returns the records of _raop._tcp (reference section 1.2).
func (c *Capabilities) RAOPTXT() []string {
	return []string{
		"txtvers=1",
		"ch=2",
		"cn=0,1,2,3",
		"et=" + numbers(c.encryption()),
		"md=0,1,2",
		"da=true",
		"sr=44100",
		"ss=16",
		"sv=false",
		"tp=TCP,UDP",
		"vn=65537",
		"vs=" + c.Version,
		"am=" + c.Model,
		"ft=" + c.Features.String(),
		"sf=" + c.Status.String(),
		"pw=" + strconv.FormatBool(c.Password),
		"pk=" + c.KeyHex(),
		"vv=2",
		"rhd=5.6.0.0",
	}
}

// numbers joins what a record lists.
func numbers(list []int) string {
	b := []byte(nil)
	for i, n := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return string(b)
}

// Ex returns the form of "fex" and "featuresEx": the eight bytes, the lowest
// first, in base 64 without padding.
func (f Features) Ex() string {
	return base64.RawStdEncoding.EncodeToString(binary.LittleEndian.AppendUint64(nil, uint64(f)))
}
