package service

import (
	"sync"

	"github.com/batonhost/baton-host/host/internal/config"
)

// Clients are the clients of C1 that the uploads of a host are. Each is one upload's alone: two
// would take each other's tasks, and C1 would delete the accounts of one after the other. Of
// credentials that are known when a configuration is loaded that is checked there; this is for
// those that are resolved later, or have other values then.
type Clients struct {
	mu  sync.Mutex
	ids map[string]string // by upload
}

// NewClients returns the clients of a host that serves nothing yet.
func NewClients() *Clients { return &Clients{ids: map[string]string{}} }

// claim makes a client an upload's, in place of the one that it was. If it is another upload's,
// it returns that.
func (c *Clients) claim(upload, id string) (other string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, taken := range c.ids {
		if taken == id && name != upload {
			return name
		}
	}
	c.ids[upload] = id
	return ""
}

// Of returns the client that an upload is; "" if it is none yet.
func (c *Clients) Of(upload string) (id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ids[upload]
}

// release takes in that an upload is not served any more.
func (c *Clients) release(upload string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.ids, upload)
}

// origin is an upload as the file has it now, and the configuration whose stores resolve its
// credentials; nil without one.
type origin struct {
	mu     sync.Mutex
	upload *config.Upload
	config *config.Config
}

func (o *origin) get() (*config.Upload, *config.Config) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.upload, o.config
}

func (o *origin) move(upload *config.Upload, from *config.Config) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.upload, o.config = upload, from
}
