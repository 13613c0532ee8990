package fleet

import (
	"cmp"
	"context"
	"runtime"
	"sync/atomic"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/shirou/gopsutil/v4/mem"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/proc/cgroup"
	"github.com/batonhost/baton-host/host/internal/supervise"
)

const (
	// perCore is how many plugins run at the same time for each core: while most of them wait
	// for their apps, the others keep it busy.
	perCore = 16
	// perPlugin is the memory that a plugin may take which reads a large app.
	perPlugin = 32 << 20
	// leastRunning is how many run on the smallest machine.
	leastRunning = 4
)

// room is where the processes of the plugins of a fleet have their places.
type room struct {
	*supervise.Room

	most      int         // as it is configured; 0: what memory and cores allow
	isCrowded atomic.Bool // there are more plugins than places
}

// places is how many plugins run at the same time that do not stay, beside those that do.
func (r *room) places(plugins []*Plugin) int {
	places, onDemand := cmp.Or(r.most, automatic(runtime.GOMAXPROCS(0), memory())), 0
	for _, p := range plugins {
		if p.isOnDemand() {
			onDemand++
		} else {
			places--
		}
	}
	places = max(places, 1)
	r.isCrowded.Store(onDemand > places)
	return places
}

// automatic is how many plugins run at the same time where the configuration does not say. A
// memory of 0 is not known.
func automatic(cores int, memory uint64) int {
	most := perCore * cores
	if memory > 0 {
		most = min(most, int(memory/2/perPlugin)) //nolint:gosec // No machine has so much.
	}
	return max(most, leastRunning)
}

// memory is what the host and its plugins may take of the machine's, in bytes; 0: it is not
// known.
func memory() uint64 {
	var all uint64
	if machine, err := mem.VirtualMemory(); err == nil {
		all = machine.Total
	}
	if limit := cgroup.MemoryLimit(); limit > 0 && (all == 0 || limit < all) {
		all = limit
	}
	return all
}

// isOnDemand reports whether its process ends where it has nothing to do.
func (p *Plugin) isOnDemand() bool { return p.KeepRunning == config.KeepAuto && p.attach == nil }

// Resize takes in how many plugins are to run at the same time; 0 is what memory and cores
// allow.
func (f *Fleet) Resize(most int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.room.most = most
	f.resize()
}

// resize has as many places as there are to be for the plugins of the fleet. The caller holds
// mu.
func (f *Fleet) resize() { f.room.Resize(f.room.places(f.plugins)) }

// isCrowded reports whether there are more of these plugins than may run at the same time, so
// that the process of each ends before a sync of them does.
func isCrowded(plugins []*Plugin) bool {
	many := 0
	for _, p := range plugins {
		if p.isOnDemand() {
			many++
		}
	}
	return many > 0 && plugins[0].room != nil && many > plugins[0].room.Size()
}

// typesLimit bounds how long a plugin is asked for its resource types ahead of a sync.
const typesLimit = 30 * time.Second

// learnTypes asks the plugin for its resource types while its process is there, so that the
// first sync of many plugins need not start it for them alone. They are verified then.
func (p *Plugin) learnTypes(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, typesLimit)
	defer cancel()
	var all []*connectorv2.ResourceType
	for token := ""; ; {
		page, err := connectorv2.NewResourceTypesServiceClient(p.running.Conn()).ListResourceTypes(ctx,
			connectorv2.ResourceTypesServiceListResourceTypesRequest_builder{PageToken: token}.Build())
		if err != nil {
			ctxzap.Extract(ctx).Debug("the plugin does not list its resource types ahead of a sync", zap.String("plugin", p.Name), zap.Error(err))
			return
		}
		all = append(all, page.GetList()...)
		if token = page.GetNextPageToken(); token == "" {
			p.types.Set(all)
			return
		}
	}
}
