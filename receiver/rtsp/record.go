package rtsp

import (
	"bytes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/chacha20poly1305"
)

// Sizes of encrypted records (reference section 5.5).
const (
	recordText    = 1024 // bytes of plain text in a record of ours; of theirs, whatever the length can tell
	recordHead    = 2
	recordTag     = chacha20poly1305.Overhead
	recordsAWrite = 16
)

// ErrRecord is the error of a record that does not decrypt: its sender has
// another key, or someone changed, repeated or left out what it sent.
var ErrRecord = errors.New("rtsp: encrypted record does not verify")

// records carries a stream of bytes in encrypted records: a length of two
// bytes, little-endian, the cipher text and a tag, by ChaCha20-Poly1305 with
// the length as additional data and a counter for nonce. It holds the records
// of one connection, both ways; one goroutine may read while another writes.
type records struct {
	from io.Reader
	to   io.Writer

	in, out direction
	buf     []byte // of the record that is read
	text    []byte // what is left of it
	err     error  // of reading, for good
	batch   []byte // records to be written
}

// direction is a cipher with its counter.
type direction struct {
	aead  cipher.AEAD
	nonce [chacha20poly1305.NonceSize]byte
	count uint64
}

func newDirection(key [32]byte) direction {
	aead, err := chacha20poly1305.New(key[:])
	if err != nil {
		panic("rtsp: " + err.Error()) // a key of 32 bytes is always one
	}
	return direction{aead: aead}
}

// next returns the nonce of the next record.
func (d *direction) next() []byte {
	binary.LittleEndian.PutUint64(d.nonce[4:], d.count)
	d.count++
	return d.nonce[:]
}

func newRecords(from io.Reader, to io.Writer, read, write [32]byte) *records {
	return &records{
		from: from, to: to, in: newDirection(read), out: newDirection(write),
		buf:   make([]byte, recordHead+recordText+recordTag),
		batch: make([]byte, 0, recordsAWrite*(recordHead+recordText+recordTag)),
	}
}

// Read returns the plain text of records, no more than one at a time.
func (r *records) Read(b []byte) (int, error) {
	if len(r.text) == 0 && r.err == nil {
		r.text, r.err = r.record()
	}
	if len(r.text) == 0 {
		return 0, r.err
	}
	n := copy(b, r.text)
	r.text = r.text[n:]
	return n, nil
}

// record reads a record and decrypts it in place. The end of the connection
// between two records is io.EOF.
func (r *records) record() ([]byte, error) {
	head := r.buf[:recordHead]
	if _, err := io.ReadFull(r.from, head); err != nil {
		return nil, err
	}
	size := int(binary.LittleEndian.Uint16(head))
	if size == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrRecord)
	}
	if need := recordHead + size + recordTag; len(r.buf) < need {
		r.buf = append(make([]byte, 0, need), head...)[:need]
		head = r.buf[:recordHead]
	}
	sealed := r.buf[recordHead:][:size+recordTag]
	if _, err := io.ReadFull(r.from, sealed); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	text, err := r.in.aead.Open(sealed[:0], r.in.next(), sealed, head)
	if err != nil {
		return nil, ErrRecord
	}
	return text, nil
}

// Write sends b in as many records as it takes, several with one write.
func (r *records) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		r.batch = r.batch[:0]
		have := done
		for have < len(b) && len(r.batch) < cap(r.batch) {
			n := min(len(b)-have, recordText)
			at := len(r.batch)
			r.batch = binary.LittleEndian.AppendUint16(r.batch, uint16(n))
			r.batch = r.out.aead.Seal(r.batch, r.out.next(), b[have:have+n], r.batch[at:at+recordHead])
			have += n
		}
		if _, err := r.to.Write(r.batch); err != nil {
			return done, err
		}
		done = have
	}
	return done, nil
}

// Encrypt makes everything that follows on the connection travel in encrypted
// records, both ways: what was read but not yet asked for is taken for the
// beginning of the first. No other method may be running but Close.
func (c *Conn) Encrypt(read, write [32]byte) {
	early, _ := c.br.Peek(c.br.Buffered())
	from := io.MultiReader(bytes.NewReader(bytes.Clone(early)), c.Conn)
	c.records = newRecords(from, c.Conn, read, write)
	c.br.Reset(c.records)
}

// Encrypted tells whether Encrypt was called.
func (c *Conn) Encrypted() bool { return c.records != nil }
