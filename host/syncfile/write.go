package syncfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/conductorone/baton-sdk/pkg/sync"
	"github.com/conductorone/baton-sdk/pkg/types"

	"github.com/batonhost/baton-host/host/workdir"
)

// workPrefix begins the names of the directories in which files are written.
const workPrefix = ".baton-host-sync-"

// Write syncs everything that the connector has into a new sync file at path,
// with as many resource types at a time as there are workers, and returns how
// many accounts the file holds, by resource type id, with a zero for an account
// type that has none. The directory must exist.
//
// Until the sync is complete and the file has been read back and counted, it is
// elsewhere in the same directory. If there is an error or the context ends,
// what was at path stays and nothing else is left behind. What runs that died
// left behind in the directory is removed first. A symbolic link at path stays:
// what it leads to is written.
func Write(ctx context.Context, connector types.ConnectorClient, path string, workers int) (map[string]int, error) {
	path, err := behindLinks(path)
	if err != nil {
		return nil, err
	}
	workdir.Sweep(filepath.Dir(path), workPrefix)
	work, err := workdir.Make(filepath.Dir(path), workPrefix)
	if err != nil {
		return nil, fmt.Errorf("the sync file cannot be written beside %s: %w", path, err)
	}
	defer func() { _ = work.Remove() }()
	watched, stop, err := watchDisk(ctx, work.Path(), freeOnDisk)
	if err != nil {
		return nil, err
	}
	defer stop()

	fresh := filepath.Join(work.Path(), "new.c1z")
	if err := run(watched, connector, fresh, work.Path(), workers); err != nil {
		return nil, becauseOfDisk(watched, err)
	}
	counts, err := readBack(watched, fresh, work.Path())
	if err != nil {
		return nil, becauseOfDisk(watched, err)
	}
	if err := publish(fresh, path); err != nil {
		return nil, err
	}
	return counts, nil
}

// behindLinks is the file that a path leads to, which need not exist.
func behindLinks(path string) (string, error) {
	const most = 40 // as many as Linux follows
	for range most {
		target, err := os.Readlink(path)
		if err != nil {
			return path, nil //nolint:nilerr // It is no link.
		}
		if !filepath.IsAbs(target) {
			dir, err := filepath.EvalSymlinks(filepath.Dir(path))
			if err != nil {
				return "", fmt.Errorf("follow the link %s: %w", path, err)
			}
			target = filepath.Join(dir, target)
		}
		path = target
	}
	return "", fmt.Errorf("the sync file cannot be written to %s: it is a link that leads to itself", path)
}

func run(ctx context.Context, connector types.ConnectorClient, path, work string, workers int) error {
	syncer, err := sync.NewSyncer(ctx, connector,
		sync.WithC1ZPath(path),
		sync.WithTmpDir(work),
		sync.WithWorkerCount(workers),
	)
	if err != nil {
		return fmt.Errorf("prepare the sync: %w", err)
	}
	err = withoutStopped(syncer.Sync(ctx))
	if isDiskError(context.Cause(ctx)) {
		// The storage engine writes when it closes, and ends the process if it
		// cannot. Its files are about to be removed anyway.
		return err
	}
	// Close packs the file. It must run also after an error and after the end of
	// the context, to release what the store holds.
	return errors.Join(err, syncer.Close(context.WithoutCancel(ctx)))
}

// readBack counts the accounts in the file: what is published must say of
// itself that it holds a finished full sync, and can be read.
func readBack(ctx context.Context, path, work string) (counts map[string]int, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("the sync file that was just written cannot be read back: %w", err)
		}
	}()
	store, err := open(ctx, path, work)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close(ctx)) }()
	full, err := store.SyncMeta().LatestFullSync(ctx)
	if err != nil {
		return nil, err
	}
	if full == nil {
		return nil, errors.New("the sync ended without an error but the file holds no finished full sync")
	}
	if err := store.SetCurrentSync(ctx, full.ID); err != nil {
		return nil, err
	}
	return countAccounts(ctx, store, full.ID)
}

// publish moves the finished file to its name, and both to the disk. The file
// is its owner's alone: it holds people's names and addresses.
func publish(fresh, path string) error {
	if err := os.Chmod(fresh, 0o600); err != nil {
		return fmt.Errorf("keep the sync file private: %w", err)
	}
	if err := flush(fresh); err != nil {
		return fmt.Errorf("write %s to the disk: %w", path, err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("put the finished sync file in place: %w", err)
	}
	// The directory holds the name. Not every file system can flush one, and
	// the file itself is safe by now.
	_ = flush(filepath.Dir(path))
	return nil
}

func flush(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
