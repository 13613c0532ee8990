package files

import (
	"os"
	"os/user"
	"strconv"
)

// UserName returns the name of a user, or its number where the system has no name for it.
func UserName(uid uint32) string {
	number := strconv.FormatUint(uint64(uid), 10)
	if found, err := user.LookupId(number); err == nil {
		return found.Username
	}
	return number
}

// Owner returns the name of the user that a file belongs to, and whether that is this
// process's user. Where the system has no such owners, or the file cannot be looked at, the
// name is empty and the file counts as this user's.
func Owner(path string) (name string, isMine bool) {
	info, err := os.Stat(path)
	if err != nil {
		return "", true
	}
	uid, ok := ownerOf(info)
	if !ok {
		return "", true
	}
	return UserName(uid), isOurs(info)
}
