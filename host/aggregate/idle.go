package aggregate

import (
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
)

// DefaultIdleTimeout is how long a listing may go on without a row where a
// Plugin does not say.
const DefaultIdleTimeout = 30 * time.Minute

// idle watches that listings get on: a plugin that goes on giving out page tokens
// and no rows would hold a sync up for ever.
type idle struct {
	limit time.Duration

	mu    sync.Mutex
	spent map[string]time.Duration // by listing, in calls since its last row
}

func newIdle(limit time.Duration) *idle {
	if limit <= 0 {
		limit = DefaultIdleTimeout
	}
	return &idle{limit: limit, spent: map[string]time.Duration{}}
}

// page takes in a page of a listing, for which the plugin was called for that
// long. Waits between calls, such as for an app's rate limit, do not count. It
// returns false if the listing is idle for too long.
func (i *idle) page(listing string, reply proto.Message, took time.Duration) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if rowsIn(reply) > 0 || nextOf(reply) == "" {
		delete(i.spent, listing)
		return true
	}
	i.spent[listing] += took
	return i.spent[listing] <= i.limit
}

func nextOf(reply proto.Message) string {
	page, ok := reply.(interface{ GetNextPageToken() string })
	if !ok {
		return ""
	}
	return page.GetNextPageToken()
}

// rowsIn is how many rows a page of any listing has: they are all called list.
func rowsIn(reply proto.Message) int {
	message := reply.ProtoReflect()
	list := message.Descriptor().Fields().ByName("list")
	if list == nil || !list.IsList() {
		return 0
	}
	return message.Get(list).List().Len()
}
