# release.sh names the release of Buildroot that the images are made with: the
# one with three years of support. It is sourced.

# shellcheck disable=SC2034 # by those who source it
buildroot_release=2025.02.16
# The commit's name vouches for all of its content.
buildroot_commit=135af563b945b8c3d18f8fd370370075b9edb140
