package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// apiVersion is that of the hub's protocol which Azure speaks.
const apiVersion = "2021-04-12"

// tokenLife is how long a token is valid. The hub ends the connection with it,
// so a client is to renew it before.
const tokenLife = time.Hour

// Hub is where a device signs in to Azure IoT Hub, and how.
type Hub struct {
	Host   string // of the hub, without a port
	Device string
	Key    []byte // shared access key; none with a certificate (X.509)
}

// errConnectionString describes what a connection string is.
var errConnectionString = errors.New("not a connection string such as HostName=HUB.azure-devices.net;DeviceId=ID;SharedAccessKey=KEY, or x509=true for the key")

// ParseHub reads a device's connection string.
func ParseHub(s string) (h Hub, err error) {
	if len(s) > 1024 {
		return h, errConnectionString
	}
	certificate := false
	for part := range strings.SplitSeq(s, ";") {
		name, value, _ := strings.Cut(part, "=")
		switch strings.ToLower(name) {
		case "hostname":
			h.Host = value
		case "deviceid":
			h.Device = value
		case "sharedaccesskey":
			if h.Key, err = base64.StdEncoding.DecodeString(value); err != nil || len(h.Key) < 16 {
				return Hub{}, fmt.Errorf("%w: its key is not base64, or short", errConnectionString)
			}
		case "x509":
			certificate = strings.EqualFold(value, "true")
		case "":
		default:
			return Hub{}, errConnectionString // nothing of it is repeated: it has a key in it
		}
	}
	bad := func(s, others string) bool {
		return s == "" || len(s) > 128 || strings.ContainsFunc(s, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(others, r))
		})
	}
	// What the hub allows in the id of a device, less what topics and URLs
	// have a use for.
	if bad(h.Host, ".-") || bad(h.Device, "-.:_@!*") || certificate == (h.Key != nil) {
		return Hub{}, errConnectionString
	}
	return h, nil
}

// Address is where the hub listens for MQTT over TLS.
func (h Hub) Address() string { return h.Host + ":8883" }

// User is the name to sign in with; the client ID is Device.
func (h Hub) User() string { return h.Host + "/" + h.Device + "/?api-version=" + apiVersion }

// Password is the token to sign in with, and when to have renewed it; "" and
// no time with a certificate.
func (h Hub) Password(now time.Time) (token string, renew time.Time) {
	if h.Key == nil {
		return "", time.Time{}
	}
	return h.token(now.Add(tokenLife)), now.Add(tokenLife * 4 / 5)
}

// token makes a shared access signature ("Control access to IoT Hub by using
// shared access signatures").
func (h Hub) token(end time.Time) string {
	resource := url.QueryEscape(h.Host + "/devices/" + h.Device)
	expiry := strconv.FormatInt(end.Unix(), 10)
	mac := hmac.New(sha256.New, h.Key)
	mac.Write([]byte(resource + "\n" + expiry))
	return "SharedAccessSignature sr=" + resource + "&sig=" + url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil))) + "&se=" + expiry
}
