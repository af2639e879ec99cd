package broker

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

var bucket = []byte("documents")

// store keeps documents in a file. Writers that come while the disk is busy are
// written together, so that ten thousand devices cost hardly more transactions
// than one.
type store struct {
	db *bbolt.DB

	mu      sync.Mutex
	pending map[string][]byte // nil removes
	waiting []func(error)     // for the pending to be on the disk
	wake    chan struct{}
	done    chan struct{}
	closed  bool
}

var errClosed = errors.New("broker: the store is closed")

func openStore(file string) (*store, error) {
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true})
	if errors.Is(err, bbolt.ErrTimeout) {
		return nil, fmt.Errorf("broker: %s is in use by another aerie-fleet", file)
	}
	if err != nil {
		return nil, fmt.Errorf("broker: open %s: %w", file, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("broker: open %s: %w", file, errors.Join(err, db.Close()))
	}
	s := &store{db: db, pending: map[string][]byte{}, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go s.write()
	return s, nil
}

// put writes a document, or removes it with nil, and returns at once. Done is
// called when that is on the disk; it must not wait for anything.
func (s *store) put(topic string, b []byte, done func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		go done(errClosed)
		return
	}
	s.pending[topic] = b
	s.waiting = append(s.waiting, done)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// keep is put that waits.
func (s *store) keep(topic string, b []byte) error {
	done := make(chan error, 1)
	s.put(topic, b, func(err error) { done <- err })
	return <-done
}

func (s *store) write() {
	defer close(s.done)
	for range s.wake {
		s.flush()
	}
	s.flush()
}

func (s *store) flush() {
	s.mu.Lock()
	pending, waiting := s.pending, s.waiting
	s.pending, s.waiting = map[string][]byte{}, nil
	s.mu.Unlock()
	var err error
	if len(pending) > 0 {
		err = s.db.Update(func(tx *bbolt.Tx) error {
			documents := tx.Bucket(bucket)
			for topic, b := range pending {
				var err error
				if b == nil {
					err = documents.Delete([]byte(topic))
				} else {
					err = documents.Put([]byte(topic), b)
				}
				if err != nil {
					return fmt.Errorf("broker: %s: %w", topic, err)
				}
			}
			return nil
		})
	}
	for _, done := range waiting {
		done(err)
	}
}

// each calls f for all documents, whose bytes are f's to keep.
func (s *store) each(f func(topic string, b []byte)) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(k, v []byte) error {
			f(string(k), append([]byte{}, v...))
			return nil
		})
	})
}

// close writes what is left. A store that is not there is closed.
func (s *store) close() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return os.ErrClosed
	}
	s.closed = true
	close(s.wake)
	s.mu.Unlock()
	<-s.done
	return s.db.Close()
}
