package app

import (
	"context"
	"slices"

	"parley/internal/access"
	"parley/internal/contact"
	"parley/internal/errs"
)

// Staff gives the id of the member of staff with a sign-in name, who must be
// allowed to do p.
func (a *App) Staff(ctx context.Context, login string, p access.Permission) (contact.ID, error) {
	list, err := a.Access.List(ctx)
	if err != nil {
		return "", err
	}
	for _, s := range list {
		if s.Login != login {
			continue
		}
		if !s.May(p) {
			return "", errs.New(errs.Forbidden, "not_allowed", login+" 的岗位不能做这件事。", "The roles of "+login+" do not allow this.")
		}
		return s.ID, nil
	}
	return "", errs.New(errs.NotFound, "no_such_staff", "没有登录名为 "+login+" 的员工。用 parley staff add 添加。",
		"There is no member of staff with the sign-in name "+login+". Add one with `parley staff add`.")
}

// AddStaff adds a member of staff with these roles.
func (a *App) AddStaff(ctx context.Context, st access.Staff, roles []string, password string) (contact.ID, error) {
	for _, r := range roles {
		if !slices.Contains(access.Roles(), access.Role(r)) {
			return "", errs.New(errs.Invalid, "unknown_role", "没有“"+r+"”这个岗位。", "There is no role "+r+".")
		}
		st.Roles = append(st.Roles, access.Role(r))
	}
	got, err := a.Access.AddStaff(ctx, st, password)
	return got.ID, err
}
