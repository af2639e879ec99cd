package fairplay

import (
	"encoding/hex"
	"sync"
)

const (
	sapSize   = 128 // bytes that each side contributes to the session
	modeCount = 4   // ways in which a SAP is encrypted on the wire
)

// constants are the byte strings that the protocol fixes.
type constants struct {
	receiverSAP  [sapSize]byte
	encryptedSAP [modeCount][sapSize]byte // the receiver's SAP as each mode sends it
	iv           [modeCount][16]byte
	roundKeys    [modeCount][rounds + 1][16]byte // in the order in which encryption adds them
}

// fixed decodes the constants at first use: a receiver to which nobody has
// connected yet does not pay for them.
var fixed = sync.OnceValue(func() *constants {
	c := new(constants)
	mustDecode(c.receiverSAP[:], receiverSAPHex)
	for mode := range modeCount {
		mustDecode(c.encryptedSAP[mode][:], encryptedSAPHex[mode])
		mustDecode(c.iv[mode][:], ivHex[mode])
		mustDecode(c.roundKeys[mode][0][:], firstRoundKeyHex)
		for n, key := range middleRoundKeysHex[mode] {
			mustDecode(c.roundKeys[mode][n+1][:], key)
		}
		mustDecode(c.roundKeys[mode][rounds][:], lastRoundKeyHex)
	}
	return c
})

// mustDecode fills dst from hex text of exactly its length. The text is a
// constant of this package: a failure is a typing error in it, which the
// first test finds.
func mustDecode(dst []byte, text string) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(dst) {
		panic("fairplay: malformed constant " + text)
	}
	copy(dst, b)
}

// The receiver's SAP (FairPlay reference section 2).
const receiverSAPHex = "0001cc342a5e5b1a6773c20e21b8224df862481864ef810aae2e3703c8819c23" +
	"539de5f5d749bc5b7a266c496283ce7f03937ae1f616de0c15ff338ccaffb09e" +
	"aabbe40f5d5f558fb97f1731f8f7da60a0ec6579c33ea98312c3b67135a6694f" +
	"f82305d9ba5c615fa254d2b1834583cee42d4426c835a7a5f6c8421c0da3f1c7"

// The receiver's SAP encrypted for each mode: bytes 14 to 141 of m2 (FairPlay
// reference section 2).
var encryptedSAPHex = [modeCount]string{
	"0f9f3f9e0a2521dbdf312ab2bfb29e8d232b6376a8c818701d22ae93d82737fe" +
		"af9db4fdf41c2dba9d1f49caaabf6591ac1f7bc6f7e0663d21afe01565953eab" +
		"81f418ceed095adb7c3d0e254909a79831d49c3982973434facb42c63a1cd911" +
		"a6fe941a8a6d4a743b46c3a7649e44c78955e49d8155009549c4e2f7a3f6d5ba",
	"cf32a25714b2524f8aa0ad7af164e37bcf4424e200047efc0ad67afcd95ded1c" +
		"2730bb591b962ed63a9c4ded88ba8fc78de64d91ccfd5c7b56da88e31f5cceaf" +
		"c7431995a01665a54e1939d25b94db64b9e45d8d063e1e6af07e9656162b0efa" +
		"404275ea5a44d9591c7256b9fbe6513898b80227721988571650942ad946688a",
	"c169a352eeed35b18cdd9c58d64f16c1519a89eb5317bd0d4336cd68f638ff9d" +
		"016a5b52b7fa9216b2b65482c78444118121a2c7fed83db7119e9182aad7d18c" +
		"7063e2a457555910af9e0efc76347d164043807f581ee4fbe42ca9dedc1b5eb2" +
		"a3aa3d2ecd59e7eee70b3629f22afd161d877353ddb99adc8e07006e56f850ce",
	"9001e1727e0f57f9f5880db104a6257a23f5cfff1abbe1e93045251afb97eb9f" +
		"c0011ebe0f3a81df5b691d76acb2f7a5c708e3d328f56bb39dbde5f29c8a17f4" +
		"81487e3ae863c678325422e6f78e166d18aa7fd636258bce28726f661f738893" +
		"ce44311e4be6c0535193e5ef72e8686233729c227d820c999445d89246c8c359",
}

// Initial vectors by mode (FairPlay reference section 3).
var ivHex = [modeCount]string{
	"5752f1b7549d8f870c10485a6088cadb",
	"df7b1563f005587752a90402b9a39295",
	"68b54611fb04de676c968efb8c9db0c9",
	"27078b2123361e7adc9d0b115354690d",
}

// Round keys (FairPlay reference section 3). The first and the last are the
// same in all modes.
const (
	firstRoundKeyHex = "d30dfdb563def72b012ead72884dca25"
	lastRoundKeyHex  = "cd5ecf47e9af289b51188f68d085eb69"
)

var middleRoundKeysHex = [modeCount][rounds - 1]string{
	{
		"6af008a6ae5118268acccb4357d1e711",
		"c6b579e0dfce8114d41d91c868513be3",
		"bafc24065ebc9cf6131652de75afd0de",
		"81a8b516836ee6493cccc125db99e0ec",
		"781b6ceb300cfe8f3c0c54c92dc7e2a3",
		"594cc871ad4a3dd851a884b0ed048f5c",
		"afea245eae1f2de557bb511b17ddcc3d",
		"8e7a945569c09856533872ca6a3a00de",
		"f3ca31810cb6201b24b5c7e4ee108bc0",
	},
	{
		"1b9018bea49613e86ab413627c84a766",
		"c94c1dc55c8bbb04a940f640f420eba5",
		"d5664239df63981372b7a8b2360b160b",
		"462cd7af87b8005a47157e32644557cf",
		"f0c0ac26f01988a8573d39e298f97f6a",
		"9407abf947788ceada25ee558333edb6",
		"3f820f9ed823ce2f7722c4bab1d2e335",
		"71fca0ff354f8991109961878bfa7cfb",
		"566c98381eedcfe7954f7213f61fc87e",
	},
	{
		"2ab2ebe11496a9655dd1b28a9910ee30",
		"9cbc01d64fa41ca1f705a0ef7fb47934",
		"08f02908920c5b348d32d3470b07705b",
		"8735404470486fa4a42b04fbfde11e3c",
		"d8eba4780f69653dfc7d2b4fbfb1ac68",
		"a74a7a6696be42e1b884e1acff1311a4",
		"cc7a007cd8a3f330d3f17ba3437d52cd",
		"1edeff958a6254b20114cfddc02a48f8",
		"3a36f4e069e1907b2c8c779be7336c09",
	},
	{
		"f6a223b4f01d8a7927a7c965de554de0",
		"0cd1515d43246c87fc2f494364a4cfbc",
		"d66e3bdd6c7f1b811f90291984b5eaee",
		"530d7ae85b3040569f13130f18fbb1e5",
		"0784c47a9fe10f3d5ea5432ecdd9f585",
		"b9b0368eb7d134d90ebd1b94b255a4fb",
		"b2a4352534066fdec1ce38db3d8c3b85",
		"0b317a942520622d89578e9fe5a13fc3",
		"bdf569e6befc1d2fc08baf733f1d176a",
	},
}
