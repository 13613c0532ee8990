package c1

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// Call is something that a client asks of the server.
type Call string

// The calls. GetTaskCall means GetTasks too.
const (
	TokenCall       Call = "Token"
	HelloCall       Call = "Hello"
	GetTaskCall     Call = "GetTask"
	HeartbeatCall   Call = "Heartbeat"
	UploadAssetCall Call = "UploadAsset"
	FinishTaskCall  Call = "FinishTask"
)

// A Fault is something to go wrong, see [Server.Inject].
type Fault struct {
	// Client is whose calls fail; everybody's if it is empty.
	Client string
	// HostID is whose calls fail; every host's if it is empty. It is not known of
	// a TokenCall or an UploadAssetCall.
	HostID string
	Call   Call
	// Times is how many calls fail; 0 fails them until the fault is cleared.
	Times int

	// Code and Message are the answer of a gRPC call.
	Code    codes.Code
	Message string
	// HTTPStatus is the answer of a TokenCall.
	HTTPStatus int
	// Drop breaks the connection instead of an answer.
	Drop bool
	// Delay is waited for first. Alone it makes the call slow and nothing else.
	Delay time.Duration
	// AfterEffect does the call's work before it fails: the answer is lost.
	AfterEffect bool

	// AfterBytes lets that much of an UploadAssetCall's data through first.
	AfterBytes int64
	// AtEOF fails an UploadAssetCall at its end, with all of its data read.
	AtEOF bool
	// Stall stops reading an UploadAssetCall after AfterBytes, so that the client
	// cannot send on, until the fault is cleared or the stream ends. Cleared, the
	// upload goes on.
	Stall bool
}

// fault is a Fault in force.
type fault struct {
	Fault
	left    int // meaningful if Times is not 0
	once    sync.Once
	cleared chan struct{}
}

func (f *fault) clear() { f.once.Do(func() { close(f.cleared) }) }

// answers reports whether the fault takes the place of the call's answer.
func (f *fault) answers() bool { return f.Drop || f.Code != codes.OK || f.HTTPStatus != 0 }

// Inject makes calls go wrong from now on. Of several faults for a call the one
// injected first counts. The function returned clears the fault and releases what
// it holds up; it may be called again.
func (s *Server) Inject(f Fault) (end func()) {
	injected := &fault{Fault: f, left: f.Times, cleared: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, injected)
	return func() {
		s.mu.Lock()
		s.faults = slices.DeleteFunc(s.faults, func(other *fault) bool { return other == injected })
		s.mu.Unlock()
		injected.clear()
	}
}

// takeFault returns the fault that this call meets, if there is one.
func (s *Server) takeFault(call Call, client, hostID string) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.faults, func(f *fault) bool {
		return f.Call == call && (f.Client == "" || f.Client == client) && (f.HostID == "" || f.HostID == hostID)
	})
	if i < 0 {
		return nil
	}
	f := s.faults[i]
	if f.Times > 0 {
		f.left--
		if f.left == 0 {
			s.faults = slices.Delete(s.faults, i, i+1)
		}
	}
	s.note(Event{Kind: Injected, Client: client, HostID: hostID, Detail: string(call)})
	return f
}

func (f *fault) answerHTTP(w http.ResponseWriter) {
	if f.Drop {
		panic(http.ErrAbortHandler) // net/http's way to break a connection off
	}
	code := f.HTTPStatus
	if code == 0 {
		code = http.StatusServiceUnavailable
	}
	http.Error(w, f.Message, code)
}

// answerRPC returns the error to answer with. A connection that was broken off
// carries none.
func (s *Server) answerRPC(ctx context.Context, f *fault) error {
	if f.Drop {
		if from, ok := peer.FromContext(ctx); ok {
			s.front.breakOff(from.Addr.String())
		}
		return status.Error(codes.Unavailable, "the connection was broken off")
	}
	return status.Error(f.Code, f.Message)
}
