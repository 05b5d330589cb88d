// libtorch holds Gloo but not its headers. These name what `ProcessGroupGloo.hpp` names, and nothing of it is made or called here.
#pragma once
