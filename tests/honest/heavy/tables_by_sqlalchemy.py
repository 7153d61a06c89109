# needs: sqlalchemy
# flags: --import sqlalchemy --read {out} --write {out}
# args: {out}
# denials: some
# prints: 2
# prints: ['cake', 'tea']
import sys

from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


engine = create_engine(f"sqlite:///{sys.argv[1]}/shop.db")
Base.metadata.create_all(engine)
with Session(engine) as session:
    session.add_all([Item(name="tea"), Item(name="cake")])
    session.commit()
    print(session.scalar(select(func.count()).select_from(Item)))
    print([item.name for item in session.scalars(select(Item).order_by(Item.name))])
engine.dispose()
