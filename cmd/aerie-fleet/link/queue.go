package link

import (
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"aerie/receiver/fleet/wire"
)

// window is how many messages may be on their way without an answer.
const window = 256

// queue holds what is to be sent, one message a topic.
type queue struct {
	client mqtt.Client
	wake   chan struct{}
	turn   chan struct{} // one for each message without an answer
	ended  chan struct{}

	mu      sync.Mutex
	order   []string
	waiting map[string]*item
	closed  bool
	unsaid  int // waiting and on their way
}

type item struct {
	wire.Message
	done []func(error)
}

func newQueue(c mqtt.Client) *queue {
	return &queue{client: c, wake: make(chan struct{}, 1), turn: make(chan struct{}, window), ended: make(chan struct{}), waiting: map[string]*item{}}
}

// Send takes the place of an earlier message on the topic that was not sent
// yet; whoever waits for that one is told when this one has arrived.
func (q *queue) Send(m wire.Message, done func(error)) {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		if done != nil {
			done(ErrLost)
		}
		return
	}
	it := q.waiting[m.Topic]
	if it == nil {
		it = &item{}
		q.waiting[m.Topic] = it
		q.order = append(q.order, m.Topic)
		q.unsaid++
	}
	it.Message = m
	if done != nil {
		it.done = append(it.done, done)
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) next() *item {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.order) == 0 {
		return nil
	}
	it := q.waiting[q.order[0]]
	delete(q.waiting, q.order[0])
	q.order = q.order[1:]
	return it
}

func (q *queue) run() {
	for {
		select {
		case <-q.wake:
		case <-q.ended:
			return
		}
		for it := q.next(); it != nil; it = q.next() {
			select {
			case q.turn <- struct{}{}:
			case <-q.ended:
				it.tell(ErrLost)
				return
			}
			token := q.client.Publish(it.Topic, it.QoS, it.Retain, it.Payload)
			if it.QoS == 0 {
				q.said(it, token.Error())
				continue
			}
			go func() {
				select {
				case <-token.Done():
					q.said(it, token.Error())
				case <-q.ended:
					q.said(it, ErrLost)
				}
			}()
		}
	}
}

func (q *queue) said(it *item, err error) {
	it.tell(err)
	<-q.turn
	q.mu.Lock()
	q.unsaid--
	q.mu.Unlock()
}

func (it *item) tell(err error) {
	for _, done := range it.done {
		done(err)
	}
}

// drain waits until everything has arrived, for as long as it may take.
func (q *queue) drain(patience time.Duration) {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		q.mu.Lock()
		unsaid := q.unsaid
		q.mu.Unlock()
		if unsaid == 0 {
			return
		}
	}
}

// close tells those that wait that their messages were lost.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	waiting := q.waiting
	q.waiting, q.order = nil, nil
	q.mu.Unlock()
	close(q.ended)
	for _, it := range waiting {
		it.tell(ErrLost)
	}
}
