package c1

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/segmentio/ksuid"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// An Upload is a complete upload whose bytes have the SHA-256 that was announced.
type Upload struct {
	Client string
	TaskID string
	HostID string
	SHA256 [32]byte
	Size   int64
	// Path is the file it is kept in; empty if uploads are not kept.
	Path string
	At   time.Time
}

// An Outcome is what is known of a task.
type Outcome struct {
	Client string
	TaskID string
	// HostID is the host that has or last had the task.
	HostID string
	// Attempts is how often the task was given out.
	Attempts int
	// Done reports that the task is not given out again.
	Done bool
	// Succeeded reports that the host finished it well.
	Succeeded bool
	// Cancelled and Expired report that Cancel or Expire was called.
	Cancelled, Expired bool
	// Status, NonRetryable and Response are what the last FinishTask sent.
	Status       *spb.Status
	NonRetryable bool
	Response     *anypb.Any
	// Uploads are the complete uploads for it, of all attempts.
	Uploads []Upload
}

// task is a task of one client.
type task struct {
	message *v1.Task
	outcome Outcome
	failed  int // attempts that ended with an error
	host    string
	leased  bool
	lease   *time.Timer
	given   map[string]bool // host ids that ever had it
	// uploaded counts the complete uploads of the lease there is.
	uploaded int
	stored   int // complete uploads, for their files' names
}

func (t *task) stopLease() {
	if t.lease != nil {
		t.lease.Stop()
	}
	t.lease, t.leased = nil, false
}

// AddFullSync queues a full sync for the client; nil asks for a plain one. It
// returns the task's id.
func (s *Server) AddFullSync(client string, sync *v1.Task_SyncFullTask) (string, error) {
	if sync == nil {
		sync = &v1.Task_SyncFullTask{}
	}
	return s.AddTask(client, v1.Task_builder{SyncFull: sync}.Build())
}

// AddTask queues a task for the client under a new id, which it returns.
func (s *Server) AddTask(client string, message *v1.Task) (string, error) {
	message = proto.CloneOf(message)
	id := ksuid.New().String()
	message.SetId(id)
	message.SetStatus(v1.Task_STATUS_PENDING)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients[s.clientID(client)] == nil {
		return "", fmt.Errorf("queue a task for %q: %w", client, errNoClient)
	}
	t := &task{message: message, outcome: Outcome{Client: client, TaskID: id}, given: map[string]bool{}}
	s.tasks[id] = t
	s.queue = append(s.queue, t)
	return id, nil
}

// Cancel makes the next heartbeat of the task report that it is cancelled. What
// fails then is not tried again; a task that no host has is done at once.
func (s *Server) Cancel(taskID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tasks[taskID]
	if t == nil || t.outcome.Done {
		return
	}
	t.outcome.Cancelled = true
	if !t.leased {
		s.endTask(t, TaskFailed, "cancelled before it was given")
	}
}

// Expire forgets the task: its host gets NOT_FOUND from now on, and
// no host gets it.
func (s *Server) Expire(taskID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tasks[taskID]
	if t == nil || t.outcome.Done {
		return
	}
	t.outcome.Expired = true
	s.endTask(t, LeaseExpired, "forgotten for good")
}

// Result returns what is known of a task, and whether it exists.
func (s *Server) Result(taskID string) (Outcome, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tasks[taskID]
	if t == nil {
		return Outcome{}, false
	}
	outcome := t.outcome
	outcome.Uploads = slices.Clone(outcome.Uploads)
	return outcome, true
}

var errNoTask = errors.New("there is no such task")

// WaitFinished returns once the task is done, well or not.
func (s *Server) WaitFinished(ctx context.Context, taskID string) (Outcome, error) {
	if _, ok := s.Result(taskID); !ok {
		return Outcome{}, fmt.Errorf("wait for the task %q: %w", taskID, errNoTask)
	}
	var outcome Outcome
	err := s.await(ctx, func() bool {
		outcome, _ = s.Result(taskID)
		return outcome.Done
	})
	return outcome, err
}

// Uploads returns the complete uploads of a client, oldest first; of every client
// if the name is empty.
func (s *Server) Uploads(client string) []Upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []Upload
	for _, u := range s.uploads {
		if client == "" || u.Client == client {
			found = append(found, u)
		}
	}
	return found
}

// BrokenUploads counts the uploads that began and did not become complete.
func (s *Server) BrokenUploads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// giveTasks leases up to that many of the client's waiting tasks to the host.
func (s *Server) giveTasks(client, host string, limit int, known []string) []*v1.Task {
	s.mu.Lock()
	defer s.mu.Unlock()
	var given []*v1.Task
	for _, t := range s.queue {
		if len(given) == limit {
			break
		}
		if t.leased || t.outcome.Client != client || slices.Contains(known, t.outcome.TaskID) {
			continue
		}
		t.outcome.Attempts++
		t.outcome.HostID, t.host, t.given[host] = host, host, true
		t.uploaded = 0
		s.renew(t)
		s.note(Event{Kind: TaskGiven, Client: client, HostID: host, TaskID: t.outcome.TaskID, Detail: t.message.WhichTaskType().String()})
		message := proto.CloneOf(t.message)
		message.SetStatus(v1.Task_STATUS_RUNNING)
		given = append(given, message)
	}
	if len(given) == 0 {
		s.note(Event{Kind: Polled, Client: client, HostID: host})
	}
	return given
}

// renew starts a task's lease, or starts it again. s.mu is held.
func (s *Server) renew(t *task) {
	t.stopLease()
	length := s.opts.TaskLease
	if t.message.HasSyncFull() {
		length = s.opts.Lease
	}
	t.leased = true
	var lease *time.Timer
	lease = time.AfterFunc(length, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		// One that fired while it was being stopped counts for nothing.
		if t.lease == lease && t.leased {
			t.stopLease()
			s.note(Event{Kind: LeaseExpired, Client: t.outcome.Client, HostID: t.host, TaskID: t.outcome.TaskID})
			if t.outcome.Cancelled {
				s.endTask(t, TaskFailed, "cancelled, and its lease ran out")
				return
			}
			s.requeue(t)
		}
	})
	t.lease = lease
}

// requeue puts a task behind those that wait. s.mu is held.
func (s *Server) requeue(t *task) {
	s.dequeue(t)
	s.queue = append(s.queue, t)
}

func (s *Server) dequeue(t *task) {
	s.queue = slices.DeleteFunc(s.queue, func(other *task) bool { return other == t })
}

// endTask takes a task out of the queue for good. s.mu is held.
func (s *Server) endTask(t *task, kind Kind, detail string) {
	t.stopLease()
	s.dequeue(t)
	t.outcome.Done = true
	s.note(Event{Kind: kind, Client: t.outcome.Client, HostID: t.host, TaskID: t.outcome.TaskID, Detail: detail})
}
