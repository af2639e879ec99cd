package enrolment

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"

	"aerie/receiver/fleet/enrol"
)

type certificate = x509.Certificate

// request is one of a device that shows a code, whose proof is made up.
func request(i int) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprint("tv", i)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
	if err != nil {
		return nil, err
	}
	return json.Marshal(enrol.Request{Device: name, Name: name, Pool: "hotel", CSR: csr, Proof: make([]byte, 32)})
}
